import { isBlank, isFieldValue } from '../../field-value.ts';
import { readLatin1 } from '../../latin1.ts';
import { ConnectionError, ErrorCode } from '../frame.ts';
import { decodeHuffman } from './huffman.ts';
import { DynamicTable, fieldSize, staticTable, staticTableSize, TableField } from './table.ts';

export interface HpackDecoderOptions {
  /** What we told the peer in SETTINGS_HEADER_TABLE_SIZE. */
  readonly tableSize: number;
  /** Decoded bytes of a header list, counted as SETTINGS_MAX_HEADER_LIST_SIZE says. */
  readonly maxListSize: number;
  readonly maxFields: number;
}

/** Lower-case token, with a colon in front for pseudo headers (RFC 9113 section 8.2.1). */
const validName = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/** HPACK, receiving side (RFC 7541). One for a connection: its state follows every header block. */
export class HpackDecoder {
  /** The last list holds a name or value that no message may hold. */
  malformed = false;
  /** The last list was longer than allowed; what {@link decode} returned is only its beginning. */
  overflow = false;
  readonly #options: HpackDecoderOptions;
  readonly #table = new DynamicTable<TableField>();
  #block: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  #validName = true;
  #fields: string[] = [];
  /** What the list may yet hold, as the options count it. */
  #room = 0;
  readonly #maxLength: number;

  constructor(options: HpackDecoderOptions) {
    this.#options = options;
    this.#maxLength = options.maxFields * 2;
  }

  /** Returns `[name, value, …]`, pseudo headers included. A list over the limits is still decoded, but not kept. */
  decode(block: Buffer, start: number, end: number): string[] {
    this.#block = block;
    this.#at = start;
    this.#end = end;
    this.malformed = false;
    this.overflow = false;
    const fields: string[] = [];
    this.#fields = fields;
    this.#room = this.#options.maxListSize;
    while (this.#at < end) {
      const first = block[this.#at];
      if (first & 0x80) {
        const { name, value, valid } = this.#indexed(this.#integer(0x7f));
        this.#take(name, value, valid);
      } else if ((first & 0xe0) === 0x20) {
        if (fields.length > 0 || this.overflow) throw compressionError('size update after a field');
        this.#updateSize();
      } else this.#literal(first);
    }
    return fields;
  }

  #take(name: string, value: string, valid: boolean): void {
    this.#room -= fieldSize(name, value);
    if (this.#room < 0 || this.#fields.length >= this.#maxLength) {
      this.overflow = true;
      return;
    }
    if (!valid) this.malformed = true;
    this.#fields.push(name, value);
  }

  #updateSize(): void {
    const size = this.#integer(0x1f);
    if (size > this.#options.tableSize) throw compressionError(`table size ${size} is over the limit`);
    this.#table.setMaxSize(size);
  }

  #indexed(index: number): TableField {
    if (index > staticTableSize) {
      const dynamic = index - staticTableSize - 1;
      if (dynamic < this.#table.length) return this.#table.get(dynamic);
    } else if (index > 0) {
      return staticTable[index - 1];
    }
    throw compressionError(`no field has index ${index}`);
  }

  #literal(first: number): void {
    const indexing = (first & 0x40) !== 0;
    const nameIndex = this.#integer(indexing ? 0x3f : 0x0f);
    const name = nameIndex === 0 ? this.#newName() : this.#knownName(nameIndex);
    const value = this.#string();
    const valid = isValidValue(value);
    if (indexing) this.#table.add(new TableField(name, value, this.#validName, valid), fieldSize(name, value));
    this.#take(name, value, this.#validName && valid);
  }

  #newName(): string {
    const name = this.#string();
    this.#validName = validName.test(name);
    return name;
  }

  #knownName(index: number): string {
    const field = this.#indexed(index);
    this.#validName = field.validName;
    return field.name;
  }

  /** RFC 7541 section 5.1. */
  #integer(mask: number): number {
    const prefix = this.#byte() & mask;
    if (prefix < mask) return prefix;
    let value = mask;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw compressionError('integer too large');
  }

  #string(): string {
    if (this.#at >= this.#end) throw compressionError('header block ends early');
    const huffman = (this.#block[this.#at] & 0x80) !== 0;
    const length = this.#integer(0x7f);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw compressionError('header block ends early');
    this.#at = end;
    if (!huffman) return readLatin1(this.#block, start, end);
    const text = decodeHuffman(this.#block, start, end);
    if (text === undefined) throw compressionError('not a Huffman-coded string');
    return text;
  }

  #byte(): number {
    if (this.#at >= this.#end) throw compressionError('header block ends early');
    return this.#block[this.#at++];
  }
}

/** What a field's value may be, and no white space at either end (RFC 9113 section 8.2.1). */
function isValidValue(value: string): boolean {
  const { length } = value;
  if (length === 0) return true;
  return !isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(length - 1)) && isFieldValue(value);
}

function compressionError(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.CompressionError, message);
}
