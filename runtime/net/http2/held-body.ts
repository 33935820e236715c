/** Chunks from this size on are kept as they are; smaller ones are copied together. */
const keepAsIs = 16_384;

/** What of a body arrived while its reader paused. Many small chunks cost no more than their bytes. */
export class HeldBody {
  #chunks: Buffer[] = [];
  /** Last element of the chunks is `#tail` cut to `#used`. */
  #tail: Buffer | undefined;
  #used = 0;

  get empty(): boolean {
    return this.#chunks.length === 0;
  }

  get bytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  add(chunk: Buffer): void {
    if (chunk.length >= keepAsIs) {
      this.#tail = undefined;
      this.#chunks.push(chunk);
      return;
    }
    if (this.#tail === undefined || this.#used + chunk.length > this.#tail.length) {
      this.#tail = Buffer.allocUnsafe(keepAsIs);
      this.#used = 0;
      this.#chunks.push(this.#tail);
    }
    this.#used += chunk.copy(this.#tail, this.#used);
    this.#chunks[this.#chunks.length - 1] = this.#tail.subarray(0, this.#used);
  }

  take(): Buffer | undefined {
    const chunk = this.#chunks.shift();
    if (this.#chunks.length === 0) this.#tail = undefined;
    return chunk;
  }
}
