/** Memory of one size, which the next one gets who needs some. */
export class BufferPool {
  readonly size: number;
  readonly #mostFree: number;
  readonly #mostTaken: number;
  readonly #free: Buffer[] = [];
  #taken = 0;

  /** Keeps at most `kept` bytes that nobody needs, and has at most `most` bytes. */
  constructor(size: number, kept: number, most = Number.POSITIVE_INFINITY) {
    this.size = size;
    this.#mostFree = kept / size;
    this.#mostTaken = most / size;
  }

  get isExhausted(): boolean {
    return this.#taken >= this.#mostTaken;
  }

  take(): Buffer {
    this.#taken++;
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.size);
  }

  /** Takes back, once, what it gave. */
  give(bytes: Buffer): void {
    this.#taken--;
    if (this.#free.length < this.#mostFree) this.#free.push(bytes);
  }
}

/** For bytes that wait, and for what most connections write in a turn: hundreds of them may do so in the same one. */
export const pages = new BufferPool(16_384, 8_388_608);
