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
  /** The fewest that lay here since the last {@link trim}. */
  #fewestFree = 0;

  /** Keeps `kept` bytes even when nobody needs them for long, and has at most `most` bytes. */
  constructor(size: number, kept: number, most = Number.POSITIVE_INFINITY) {
    this.size = size;
    this.#kept = kept / size;
    this.#mostTaken = most / size;
  }

  get isExhausted(): boolean {
    return this.#taken >= this.#mostTaken;
  }

  /** Whether there is more than is kept for good. */
  get hasSpare(): boolean {
    return this.#free.length > this.#kept;
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
  }

  /** Lets go of what nobody needed since this was called before; called time and again while there is work. */
  trim(): void {
    const unneeded = Math.min(this.#fewestFree, this.#free.length - this.#kept);
    if (unneeded > 0) this.#free.splice(0, unneeded);
    this.#fewestFree = this.#free.length;
  }
}

/** For bytes that wait, and for what most connections write in a turn: hundreds of them may do so in the same one. */
export const pages = new BufferPool(16_384, 8_388_608);
