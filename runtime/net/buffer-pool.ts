/** After so many were given back, those go that nobody needed meanwhile. */
const trimAfter = 16_384;

/**
 * Memory of one size, which the next one gets who needs some. What was needed of late is kept: as garbage it would be dear,
 * since V8 marks its whole heap anew for every 64 MB of buffers.
 */
export class BufferPool {
  readonly size: number;
  readonly #kept: number;
  readonly #mostTaken: number;
  readonly #free: Buffer[] = [];
  #taken = 0;
  #given = 0;
  /** The fewest that lay here since some went. */
  #fewestFree = 0;

  /** Keeps `kept` bytes even when nobody needed them for long, and has at most `most` bytes. */
  constructor(size: number, kept: number, most = Number.POSITIVE_INFINITY) {
    this.size = size;
    this.#kept = kept / size;
    this.#mostTaken = most / size;
  }

  get isExhausted(): boolean {
    return this.#taken >= this.#mostTaken;
  }

  get bytesTaken(): number {
    return this.#taken * this.size;
  }

  take(): Buffer {
    this.#taken++;
    const bytes = this.#free.pop();
    if (!bytes) return Buffer.allocUnsafeSlow(this.size);
    if (this.#free.length < this.#fewestFree) this.#fewestFree = this.#free.length;
    return bytes;
  }

  /** Takes back, once, what it gave. */
  give(bytes: Buffer): void {
    this.#taken--;
    this.#free.push(bytes);
    if (++this.#given >= trimAfter) this.#trim();
  }

  #trim(): void {
    const unneeded = Math.min(this.#fewestFree, this.#free.length - this.#kept);
    if (unneeded > 0) this.#free.length -= unneeded;
    this.#fewestFree = this.#free.length;
    this.#given = 0;
  }
}

/** For bytes that wait, and for what most connections write in a turn: hundreds of them may do so in the same one. */
export const pages = new BufferPool(16_384, 8_388_608);
