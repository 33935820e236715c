import type { Stream } from '../net/index.ts';

/** Holds a request's body so that it can be sent again. A body in many small chunks costs no more than its bytes. */
export class BodyCopy {
  #buffer: Buffer | undefined;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  add(chunk: Buffer): void {
    const needed = this.#bytes + chunk.length;
    if (!this.#buffer) {
      this.#buffer = Buffer.from(chunk);
    } else {
      if (needed > this.#buffer.length) this.#grow(needed);
      chunk.copy(this.#buffer, this.#bytes);
    }
    this.#bytes = needed;
  }

  writeTo(stream: Stream): void {
    if (this.#buffer) stream.write(this.#buffer.subarray(0, this.#bytes));
  }

  drop(): void {
    this.#buffer = undefined;
    this.#bytes = 0;
  }

  /** What was written earlier may still be read: it stays where it is. */
  #grow(needed: number): void {
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes * 2));
    this.#buffer?.copy(larger, 0, 0, this.#bytes);
    this.#buffer = larger;
  }
}
