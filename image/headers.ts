/** Names and values as Node's `Headers` keeps them: names lower-cased and sorted, values of one name joined. */
type HeadersInit = Iterable<readonly [string, string]> | Readonly<Record<string, string>>;

/**
 * What the gRPC library uses of the global `Headers`. The first use of that one loads all of undici, 2 MB of memory in
 * every sidecar. Names and values are not checked here: Node's http2 does so before it sends them.
 */
export class HeaderMap {
  readonly #values = new Map<string, string>();

  constructor(init: HeadersInit = {}) {
    for (const [name, value] of Symbol.iterator in init ? init : Object.entries(init)) this.append(name, value);
  }

  append(name: string, value: string): void {
    const before = this.get(name);
    this.#values.set(name.toLowerCase(), before === null ? trimmed(value) : `${before}, ${trimmed(value)}`);
  }

  set(name: string, value: string): void {
    this.#values.set(name.toLowerCase(), trimmed(value));
  }

  get(name: string): string | null {
    return this.#values.get(name.toLowerCase()) ?? null;
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase());
  }

  delete(name: string): void {
    this.#values.delete(name.toLowerCase());
  }

  forEach(callback: (value: string, name: string, headers: this) => void): void {
    for (const [name, value] of this) callback(value, name, this);
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }

  *entries(): IterableIterator<[string, string]> {
    yield* [...this.#values].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this) yield name;
  }

  *values(): IterableIterator<string> {
    for (const [, value] of this) yield value;
  }
}

/** Without the white space of HTTP around it. */
function trimmed(value: string): string {
  return value.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, '');
}
