const pageSize = 16_384;
const maxPooled = 64;
const pool: Page[] = [];

/** A part of what is held. */
export class Page {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(pageSize);
  start = 0;
  end = 0;

  static take(): Page {
    return pool.pop() ?? new Page();
  }

  get view(): Buffer {
    return this.bytes.subarray(this.start, this.end);
  }

  /** Nobody reads it any more. */
  free(): void {
    this.start = 0;
    this.end = 0;
    if (pool.length < maxPooled) pool.push(this);
  }
}

/** Bytes that have to wait, copied. Many small chunks cost no more than their bytes. */
export class HeldBytes {
  length = 0;
  readonly #pages: Page[] = [];

  add(chunk: Buffer, start = 0): void {
    for (let at = start; at < chunk.length; ) {
      let page = this.#pages.at(-1);
      if (page === undefined || page.end === pageSize) {
        page = Page.take();
        this.#pages.push(page);
      }
      const taken = chunk.copy(page.bytes, page.end, at);
      page.end += taken;
      at += taken;
      this.length += taken;
    }
  }

  get first(): Page | undefined {
    return this.#pages[0];
  }

  /** Takes bytes off the beginning of the first page. */
  skip(count: number): void {
    const page = this.#pages[0];
    page.start += count;
    this.length -= count;
    if (page.start < page.end) return;
    this.#pages.shift();
    page.free();
  }

  /** Takes the first page out; it is to be freed. */
  shift(): Page | undefined {
    const page = this.#pages.shift();
    if (page) this.length -= page.end - page.start;
    return page;
  }

  clear(): void {
    for (const page of this.#pages) page.free();
    this.#pages.length = 0;
    this.length = 0;
  }
}
