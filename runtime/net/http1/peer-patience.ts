import { type IdleLimit, usableFor } from '../idle-limit.ts';
import type { Deadline } from './deadline.ts';

/**
 * How long the peer of a client's connection keeps it while nothing is asked of it: what the peer says, and what this
 * connection and others to it have shown. `deadline` is the connection's, set when it became idle.
 */
export class PeerPatience {
  readonly #learned: IdleLimit;
  /** Ours: milliseconds after which a connection is idle for too long in any case. */
  readonly #limit: number;
  readonly #deadline: Deadline;
  /** Milliseconds that the peer said. */
  #said = Number.POSITIVE_INFINITY;
  /** It has carried a response: how long peers wait for a first request is another matter. */
  #used = false;
  /** It is used no more, and shows how long the peer keeps it. */
  #probing = false;
  /** Milliseconds that it had been idle then. */
  #idleBefore = 0;

  constructor(learned: IdleLimit, limit: number, deadline: Deadline) {
    this.#learned = learned;
    this.#limit = limit;
    this.#deadline = deadline;
  }

  /** Whether a request may still be sent. Timers may be late. */
  get lasts(): boolean {
    if (this.#probing) return false;
    const usable = this.#usableFor;
    return !this.#used || usable >= this.#limit || this.#deadline.elapsed < usable;
  }

  /** Reads a `Keep-Alive` field: `timeout=5, max=100`. */
  hear(keepAlive: string): void {
    const timeout = /(?:^|[ ,;])timeout=(\d{1,9})/i.exec(keepAlive);
    if (timeout !== null) this.#said = usableFor(Number(timeout[1]) * 1000);
  }

  /** A response is through, and the connection waits for the next request. */
  beginIdle(): void {
    this.#used = true;
    this.#deadline.set(Math.max(0, this.#usableFor));
  }

  /** It has been idle for as long as it may. True where it is to stay, unused, because that teaches something. */
  probe(): boolean {
    if (!this.#used) return false;
    const idle = this.#idleFor;
    if (this.#probing) {
      this.#probing = false;
      this.#learned.endProbe(idle);
      return false;
    }
    if (idle >= this.#said) return false;
    const until = this.#learned.beginProbe(this.#limit);
    if (until === undefined) return false;
    this.#probing = true;
    this.#idleBefore = idle;
    this.#deadline.set(Math.max(0, until - idle));
    return true;
  }

  /** The peer has closed the idle connection. */
  learn(): void {
    if (this.#used) this.#learned.onClosed(this.#idleFor);
  }

  /** The connection ends. */
  stop(): void {
    if (!this.#probing) return;
    this.#probing = false;
    this.#learned.endProbe();
  }

  get #idleFor(): number {
    return this.#deadline.elapsed + this.#idleBefore;
  }

  get #usableFor(): number {
    return Math.min(this.#said, this.#learned.current, this.#limit);
  }
}
