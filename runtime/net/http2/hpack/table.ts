/** A field in a table. Its checks are made once and hold for every use. */
export class TableField {
  readonly name: string;
  readonly value: string;
  readonly validName: boolean;
  readonly valid: boolean;

  constructor(name: string, value: string, validName: boolean, validValue: boolean) {
    this.name = name;
    this.value = value;
    this.validName = validName;
    this.valid = validName && validValue;
  }
}

/** What a field costs in a table and in a header list (RFC 7541 section 4.1). */
export function fieldSize(name: string, value: string): number {
  return name.length + value.length + 32;
}

/** RFC 7541 appendix A, in order; the first has index 1. */
export const staticTable: readonly TableField[] = `
:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`
  .trim()
  .split('\n')
  .map((line) => {
    const [, name, value] = /^(\S+) ?(.*)$/.exec(line)!;
    return new TableField(name, value, true, true);
  });

export const staticTableSize = staticTable.length;

/** Dynamic table size before anybody says otherwise. */
export const defaultTableSize = 4096;

/** First in, first out, bounded by bytes (RFC 7541 section 2.3.2). Index 0 is the newest. */
export class DynamicTable<T> {
  #maxSize = defaultTableSize;
  #size = 0;
  /** Empty before the oldest: what was evicted must not be held until its place is used again. */
  #fields: (T | undefined)[] = [];
  #sizes: number[] = [];
  #oldest = 0;
  readonly #onEvict: ((field: T) => void) | undefined;

  constructor(onEvict?: (field: T) => void) {
    this.#onEvict = onEvict;
  }

  get length(): number {
    return this.#fields.length - this.#oldest;
  }

  get maxSize(): number {
    return this.#maxSize;
  }

  setMaxSize(maxSize: number): void {
    this.#maxSize = maxSize;
    this.#evict(maxSize);
  }

  get(index: number): T {
    return this.#fields[this.#fields.length - 1 - index]!;
  }

  /** Evicts until the field fits. One that is larger than the table empties it and is not kept. */
  add(field: T, size: number): boolean {
    this.#evict(this.#maxSize - size);
    if (size > this.#maxSize) return false;
    this.#fields.push(field);
    this.#sizes.push(size);
    this.#size += size;
    return true;
  }

  #evict(target: number): void {
    while (this.#size > target && this.#oldest < this.#fields.length) {
      this.#size -= this.#sizes[this.#oldest];
      this.#onEvict?.(this.#fields[this.#oldest]!);
      this.#fields[this.#oldest++] = undefined;
    }
    if (this.#oldest > 64 && this.#oldest * 2 > this.#fields.length) {
      this.#fields.splice(0, this.#oldest);
      this.#sizes.splice(0, this.#oldest);
      this.#oldest = 0;
    }
  }
}
