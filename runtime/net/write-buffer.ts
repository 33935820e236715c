import { BufferPool, pages } from './buffer-pool.ts';
import type { Connection, Lender } from './connection.ts';
import { writeLatin1 } from './latin1.ts';

/** What one write takes at most: 16 full records of TLS. */
const size = 262_144;
/** Few, or slow readers would keep one each, and hundreds that write much in one turn would leave as much garbage. */
const large = new BufferPool(size, 4_194_304, 4_194_304);

const State = { filling: 0, lent: 1, over: 2 } as const;

/**
 * Collects what leaves in one write. Its memory is taken when there is something to write, and is back when that was
 * taken, so that little of it serves all connections, and none of it is garbage.
 */
export class WriteBuffer implements Lender {
  /** Another one after {@link reserve}. */
  bytes: Buffer;
  used = 0;
  /** Where the memory is from; absent where it is for this one only. */
  #pool: BufferPool | undefined;
  #state: number = State.filling;

  /** What one takes now that is made now. */
  static get most(): number {
    return large.isExhausted ? pages.size : size;
  }

  /** An empty one with room for so many bytes. */
  constructor(atLeast = pages.size) {
    this.bytes = this.#take(atLeast);
  }

  /** How much more it takes. */
  get room(): number {
    return Math.max(WriteBuffer.most, this.bytes.length) - this.used;
  }

  /** Has memory for so many more bytes, for which there is room. */
  reserve(more: number): void {
    if (this.used + more <= this.bytes.length) return;
    const { bytes } = this;
    const former = this.#pool;
    this.bytes = this.#take(this.used + more);
    bytes.copy(this.bytes, 0, 0, this.used);
    former?.give(bytes);
  }

  /** Takes of a chunk what there is room for, from `start` on; returns how much that is. */
  add(chunk: Buffer, start: number): number {
    this.reserve(Math.min(chunk.length - start, this.room));
    const taken = chunk.copy(this.bytes, this.used, start);
    this.used += taken;
    return taken;
  }

  /** Takes latin1 text, for which there is room. */
  addText(text: string): void {
    this.reserve(text.length);
    this.used += writeLatin1(this.bytes, text, this.used);
  }

  /** Writes what was collected; this is not to be used any more. Returns what the connection says. */
  writeTo(connection: Connection): boolean {
    this.#state = State.lent;
    return connection.write(this.bytes.subarray(0, this.used), this);
  }

  release(): void {
    if (this.#state === State.lent) this.#end();
  }

  /** Drops what was collected; this is not to be used any more. */
  drop(): void {
    if (this.#state === State.filling) this.#end();
  }

  #take(bytes: number): Buffer {
    this.#pool = poolFor(bytes);
    return this.#pool?.take() ?? Buffer.allocUnsafeSlow(bytes);
  }

  #end(): void {
    this.#state = State.over;
    this.#pool?.give(this.bytes);
  }
}

function poolFor(bytes: number): BufferPool | undefined {
  if (bytes <= pages.size) return pages;
  return bytes <= WriteBuffer.most ? large : undefined;
}
