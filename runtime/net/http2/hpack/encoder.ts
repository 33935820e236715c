import { copyOf, writeLatin1 } from '../../latin1.ts';
import { DynamicTable, defaultTableSize, fieldSize, staticTable, staticTableSize } from './table.ts';

/** How a field is put into a header block. */
const Indexing = {
  /** Into the dynamic table. */
  Always: 0,
  /** Its values do not repeat: a literal. */
  Without: 1,
  /** A secret: a literal which nobody on the way may index either (RFC 7541 section 7.1.3). */
  Never: 2,
  /** Not in HTTP/2 at all. */
  Omit: 3,
} as const;

const indexingOf = new Map<string, number>();
for (const name of [
  ...[':path', 'age', 'content-length', 'content-range', 'date', 'etag', 'expires', 'if-match', 'if-modified-since'],
  ...['if-none-match', 'if-range', 'if-unmodified-since', 'last-modified', 'location', 'range', 'traceparent'],
  ...['tracestate', 'x-request-id', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'b3', 'grpc-timeout'],
]) {
  indexingOf.set(name, Indexing.Without);
}
for (const name of ['authorization', 'cookie', 'proxy-authorization', 'set-cookie']) {
  indexingOf.set(name, Indexing.Never);
}
for (const name of ['connection', 'host', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']) {
  indexingOf.set(name, Indexing.Omit);
}

/** After so many values in a row that were all new, those of a name are taken not to repeat. */
const patience = 16;

/** What the encoder knows of a name. */
class EncodedName {
  readonly name: string;
  readonly indexing: number;
  /** Index in the static table; 0 is none. */
  readonly staticIndex: number;
  /** Values in the static table, from that index on. */
  readonly staticValues: readonly string[];
  /** Values in the dynamic table, with the serial numbers of their entries. */
  values: Map<string, number> | undefined;
  /** The value used last, which is most often the next one too. */
  lastValue: string | undefined;
  lastSerial = -1;
  /** The newest entry with this name. */
  newestSerial = -1;
  misses = 0;

  constructor(name: string, staticIndex = 0, staticValues: readonly string[] = []) {
    this.name = name;
    this.indexing = indexingOf.get(name) ?? Indexing.Always;
    this.staticIndex = staticIndex;
    this.staticValues = staticValues;
  }
}

interface Entry {
  readonly name: EncodedName;
  readonly value: string;
  readonly serial: number;
}

/** The entries of one name follow each other. */
const staticNames = new Map<string, { index: number; values: string[] }>();
for (const [position, { name, value }] of staticTable.entries()) {
  const known = staticNames.get(name) ?? { index: position + 1, values: [] };
  staticNames.set(name, known);
  if (value !== '') known.values.push(value);
}

/** Most bytes that the representation of a field takes besides its name and value. */
const fieldOverhead = 16;

/** HPACK, sending side (RFC 7541). Strings are sent as they are: between sidecars time counts more than bytes. */
export class HpackEncoder {
  readonly #tableLimit: number;
  readonly #names = new Map<string, EncodedName>();
  readonly #table = new DynamicTable<Entry>((entry) => this.#forget(entry));
  /** Serial number of the next entry. */
  #serial = 0;
  /** Smallest size since the last block, when the peer changed the size. */
  #smallestSize = -1;
  #target: Buffer = Buffer.alloc(0);
  #at = 0;

  /** `tableLimit` bounds the table, however large the peer allows it to be. */
  constructor(tableLimit: number) {
    this.#tableLimit = tableLimit;
    for (const [name, known] of staticNames) this.#names.set(name, new EncodedName(name, known.index, known.values));
    for (const name of indexingOf.keys()) {
      if (!this.#names.has(name)) this.#names.set(name, new EncodedName(name));
    }
    this.setMaxSize(defaultTableSize);
    this.#smallestSize = -1;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setMaxSize(maxSize: number): void {
    const size = Math.min(maxSize, this.#tableLimit);
    if (size === this.#table.maxSize) return;
    this.#smallestSize = this.#smallestSize < 0 ? size : Math.min(this.#smallestSize, size);
    this.#table.setMaxSize(size);
  }

  /** Room that {@link encode} may need. */
  static bound(pseudo: readonly string[], fields: readonly string[]): number {
    let bound = (pseudo.length + fields.length + 2) * (fieldOverhead / 2);
    for (let i = 0; i < pseudo.length; i++) bound += pseudo[i].length;
    for (let i = 0; i < fields.length; i++) bound += fields[i].length;
    return bound;
  }

  /** Writes a header block and returns where it ends. */
  encode(target: Buffer, offset: number, pseudo: readonly string[], fields: readonly string[]): number {
    this.#target = target;
    this.#at = offset;
    if (this.#smallestSize >= 0) this.#announceSize();
    for (let i = 0; i < pseudo.length; i += 2) this.#field(pseudo[i], pseudo[i + 1]);
    for (let i = 0; i < fields.length; i += 2) this.#field(fields[i], fields[i + 1]);
    return this.#at;
  }

  #announceSize(): void {
    const size = this.#table.maxSize;
    if (this.#smallestSize < size) this.#integer(0x20, 0x1f, this.#smallestSize);
    this.#integer(0x20, 0x1f, size);
    this.#smallestSize = -1;
  }

  #field(text: string, value: string): void {
    const name = this.#names.get(text) ?? new EncodedName(copyOf(text));
    if (name.lastValue === value) {
      name.misses = 0;
      this.#integer(0x80, 0x7f, this.#index(name.lastSerial));
      return;
    }
    if (name.indexing === Indexing.Omit) return;
    const known = name.staticValues.indexOf(value);
    if (known >= 0) {
      this.#integer(0x80, 0x7f, name.staticIndex + known);
      return;
    }
    const serial = name.indexing === Indexing.Always ? name.values?.get(value) : undefined;
    if (serial === undefined) {
      this.#literal(name, value);
      return;
    }
    name.misses = 0;
    name.lastValue = value;
    name.lastSerial = serial;
    this.#integer(0x80, 0x7f, this.#index(serial));
  }

  #literal(name: EncodedName, value: string): void {
    const size = fieldSize(name.name, value);
    // A large value would push out many small ones.
    const index = this.#isWorthIndexing(name) && size * 4 <= this.#table.maxSize;
    if (index) this.#integer(0x40, 0x3f, this.#nameIndex(name));
    else this.#integer(name.indexing === Indexing.Never ? 0x10 : 0x00, 0x0f, this.#nameIndex(name));
    if (this.#nameIndex(name) === 0) this.#string(name.name);
    this.#string(value);
    if (index) this.#add(name, copyOf(value), size);
  }

  #isWorthIndexing(name: EncodedName): boolean {
    if (name.indexing === Indexing.Always) return name.misses < patience;
    // With one of its values in the table, the name is a number, though the values do not repeat.
    return name.indexing === Indexing.Without && this.#nameIndex(name) === 0;
  }

  #add(name: EncodedName, value: string, size: number): void {
    const serial = this.#serial++;
    this.#table.add({ name, value, serial }, size);
    this.#names.set(name.name, name);
    name.values ??= new Map();
    name.values.set(value, serial);
    name.lastValue = value;
    name.lastSerial = serial;
    name.newestSerial = serial;
    name.misses++;
  }

  #forget({ name, value, serial }: Entry): void {
    name.values!.delete(value);
    if (name.lastSerial === serial) name.lastValue = undefined;
    if (name.newestSerial !== serial) return;
    name.newestSerial = -1;
    name.misses = 0;
    // Names come from clients: only those in the table are remembered.
    if (name.staticIndex === 0 && name.indexing === Indexing.Always) this.#names.delete(name.name);
  }

  #nameIndex(name: EncodedName): number {
    if (name.staticIndex > 0) return name.staticIndex;
    return name.newestSerial < 0 ? 0 : this.#index(name.newestSerial);
  }

  #index(serial: number): number {
    return staticTableSize + this.#serial - serial;
  }

  /** RFC 7541 section 5.1. */
  #integer(pattern: number, mask: number, value: number): void {
    const target = this.#target;
    if (value < mask) {
      target[this.#at++] = pattern | value;
      return;
    }
    target[this.#at++] = pattern | mask;
    let rest = value - mask;
    while (rest >= 0x80) {
      target[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    target[this.#at++] = rest;
  }

  #string(text: string): void {
    this.#integer(0x00, 0x7f, text.length);
    this.#at += writeLatin1(this.#target, text, this.#at);
  }
}
