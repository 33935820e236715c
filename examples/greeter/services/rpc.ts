/*
 * As much of gRPC as messages with one field `string text = 1` need, so that this example needs no library. Programs of
 * your own use one.
 */

/** A message in its frame. */
export function encode(text: string): Buffer {
  const bytes = Buffer.from(text);
  const message = Buffer.concat([Buffer.from([0x0a, ...varint(bytes.length)]), bytes]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** @throws Error where it is something else */
export function decode(frame: Buffer): string {
  if (frame.length < 5 || frame[0] !== 0 || frame.readUInt32BE(1) !== frame.length - 5) throw new Error('no message');
  if (frame.length === 5) return '';
  let start = 6;
  while (frame[start] >= 0x80) start++;
  if (frame[5] !== 0x0a) throw new Error('no text');
  return frame.subarray(start + 1).toString();
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
