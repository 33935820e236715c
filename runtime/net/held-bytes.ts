import { pages } from './buffer-pool.ts';

const smallestPage = 256;
const none = Buffer.alloc(0);

/** Memory of this process in which bytes wait: for credit, a slow reader, another try. */
export const heldMemory = { bytes: 0 };

/** A part of what is held. */
export class Page {
  bytes: Buffer;
  start = 0;
  end = 0;

  private constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** An empty one, for about so many bytes. */
  static take(wanted: number): Page {
    const isSmall = wanted * 2 <= pages.size;
    const bytes = isSmall ? Buffer.allocUnsafe(Math.max(wanted, smallestPage)) : pages.take();
    heldMemory.bytes += bytes.length;
    return new Page(bytes);
  }

  get view(): Buffer {
    return this.bytes.subarray(this.start, this.end);
  }

  /**
   * Nobody reads it any more. It lets go of its memory, so that who frees it again, or reads it yet, cannot reach what
   * is another connection's by then.
   */
  free(): void {
    const { bytes } = this;
    this.bytes = none;
    this.start = 0;
    this.end = 0;
    heldMemory.bytes -= bytes.length;
    if (bytes.length === pages.size) pages.give(bytes);
  }
}

/** Copies of bytes that have to wait. Many small chunks cost little more than their bytes, and large ones no garbage. */
export class HeldBytes {
  length = 0;
  readonly #pages: Page[] = [];

  /** Copies a chunk, from `start` on. */
  add(chunk: Buffer, start = 0): void {
    for (let at = start; at < chunk.length; ) {
      const page = this.#room(chunk.length - at);
      const taken = chunk.copy(page.bytes, page.end, at);
      page.end += taken;
      this.length += taken;
      at += taken;
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
    if (page.start === page.end) this.shift()?.free();
  }

  /** Takes the first page out; it is to be freed. */
  shift(): Page | undefined {
    const page = this.#pages.shift();
    if (page) this.length -= page.end - page.start;
    return page;
  }

  /** Hands all of it over, and keeps it; the chunks are lent for the call. */
  read(take: (chunk: Buffer) => void): void {
    for (const page of this.#pages) take(page.view);
  }

  clear(): void {
    for (const page of this.#pages) page.free();
    this.#pages.length = 0;
    this.length = 0;
  }

  /** Pages grow with what there is, so that there are never many. */
  #room(wanted: number): Page {
    const last = this.#pages.at(-1);
    if (last && last.end < last.bytes.length) return last;
    const page = Page.take(Math.max(wanted, this.length));
    this.#pages.push(page);
    return page;
  }
}
