/** A small writer of DER (X.690): as much as a certificate request needs. */

/** Elements that are already encoded, one after the other, under one tag. */
function element(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([Buffer.from([tag]), length(body.length), body]);
}

function length(value: number): Buffer {
  if (value < 0x80) return Buffer.from([value]);
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

export function sequence(...elements: readonly Buffer[]): Buffer {
  return element(0x30, ...elements);
}

/** A constructed element with a context-specific tag. */
export function contextTag(tag: number, ...elements: readonly Buffer[]): Buffer {
  return element(0xa0 | tag, ...elements);
}

/** A whole number from 0 to 127. */
export function integer(value: number): Buffer {
  return element(0x02, Buffer.from([value]));
}

/** Whole octets. */
export function bitString(octets: Buffer): Buffer {
  return element(0x03, Buffer.from([0]), octets);
}

export function objectIdentifier(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(Number);
  return element(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(arc: number): number[] {
  const bytes = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift((rest % 128) | 0x80);
  return bytes;
}

export function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
