const varint = 0;
const fixed64 = 1;
const lengthDelimited = 2;
const fixed32 = 5;

/** Writes a message of Protocol Buffers, field by field. What is empty is left out, as proto3 has it. */
export class ProtobufWriter {
  readonly #parts: Buffer[] = [];

  bytes(field: number, value: Uint8Array): this {
    this.#parts.push(encodeVarint(field * 8 + lengthDelimited), encodeVarint(value.length), Buffer.from(value));
    return this;
  }

  string(field: number, value: string | undefined): this {
    return value ? this.bytes(field, Buffer.from(value)) : this;
  }

  strings(field: number, values: Iterable<string> = []): this {
    for (const value of values) this.bytes(field, Buffer.from(value));
    return this;
  }

  /** A map of strings; `encode` makes the values, where they are messages. */
  map(field: number, entries: Readonly<Record<string, string>> = {}, encode: (value: string) => Buffer = Buffer.from) {
    for (const [key, value] of Object.entries(entries)) {
      this.bytes(field, new ProtobufWriter().string(1, key).bytes(2, encode(value)).finish());
    }
    return this;
  }

  /** A number that is not negative. */
  uint(field: number, value: number): this {
    if (value > 0) this.#parts.push(encodeVarint(field * 8 + varint), encodeVarint(value));
    return this;
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** The fields of a message that are strings, bytes or messages, as views; others are passed over. Throws when malformed. */
export function* readFields(message: Buffer): Generator<readonly [field: number, value: Buffer]> {
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = message[at++];
      if (byte === undefined || scale > 2 ** 63) throw new Error('malformed message: a number without end');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = readVarint();
    const type = tag % 8;
    if (type === varint) readVarint();
    else if (type === fixed64) at += 8;
    else if (type === fixed32) at += 4;
    else if (type === lengthDelimited) {
      const length = readVarint();
      const start = at;
      at += length;
      if (at > message.length) break;
      yield [Math.floor(tag / 8), message.subarray(start, at)];
    } else throw new Error(`malformed message: a field of type ${type}`);
  }
  if (at > message.length) throw new Error('malformed message: a field without end');
}

/** A field that is a string. */
export function readText(value: Buffer): string {
  return value.toString('utf8');
}
