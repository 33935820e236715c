import type { Connection, Lender } from './connection.ts';
import { writeLatin1 } from './latin1.ts';

/** What one write takes at most: 16 full records of TLS. */
const size = 262_144;
const maxPooled = 8;
const pool: WriteBuffer[] = [];

const State = { filling: 0, lent: 1, pooled: 2 } as const;

/**
 * Collects what leaves in one write. One is taken when there is something to write, and is back when that was taken, so
 * that few serve all connections, and none of them is garbage.
 */
export class WriteBuffer implements Lender {
  readonly bytes: Buffer;
  used = 0;
  #state: number = State.filling;

  private constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  /** An empty one with room for so many bytes, and mostly for many more. */
  static take(atLeast = size): WriteBuffer {
    const pooled = atLeast <= size ? pool.pop() : undefined;
    if (!pooled) return new WriteBuffer(Math.max(atLeast, size));
    pooled.#state = State.filling;
    return pooled;
  }

  get room(): number {
    return this.bytes.length - this.used;
  }

  /** Takes of a chunk what there is room for, from `start` on; returns how much that is. */
  add(chunk: Buffer, start: number): number {
    const taken = chunk.copy(this.bytes, this.used, start);
    this.used += taken;
    return taken;
  }

  /** Takes latin1 text, for which there is room. */
  addText(text: string): void {
    this.used += writeLatin1(this.bytes, text, this.used);
  }

  /** Writes what was collected; this is not to be used any more. Returns what the connection says. */
  writeTo(connection: Connection): boolean {
    this.#state = State.lent;
    return connection.write(this.bytes.subarray(0, this.used), this);
  }

  release(): void {
    if (this.#state === State.lent) this.#pool();
  }

  /** Drops what was collected; this is not to be used any more. */
  drop(): void {
    if (this.#state === State.filling) this.#pool();
  }

  #pool(): void {
    this.#state = State.pooled;
    this.used = 0;
    if (pool.length < maxPooled && this.bytes.length === size) pool.push(this);
  }
}
