/** Milliseconds before the peer's own time-out at which a connection is used no more, where that is long enough. */
const margin = 1000;
/** A limit that is found to be too low rises at least so much: milliseconds. */
const step = 10;

/** How long a connection may be idle and still be used, if its peer closes it after `timeout`; both in milliseconds. */
export function usableFor(timeout: number): number {
  return timeout - Math.min(margin, timeout / 2);
}

/**
 * How long connections to one peer may be idle and still be used: less than the peer waits before it closes them, so
 * that no request meets a closing connection. Learned from connections that the peer closed while they were idle. What
 * was learned may be wrong (a program that restarts closes all of its connections), so one connection at a time stays
 * open beyond the limit, unused, to see when the peer closes it.
 */
export class IdleLimit {
  /** Nobody knows of a limit yet. */
  #current = Number.POSITIVE_INFINITY;
  #probing = false;

  /** Milliseconds; how long we keep connections ourselves is another matter. */
  get current(): number {
    return this.#current;
  }

  /** The peer closed a connection that had been idle for so many milliseconds. */
  onClosed(idle: number): void {
    this.#current = usableFor(idle);
  }

  /**
   * Milliseconds of idleness after which a connection that is used no more has shown that the limit is too low; call
   * {@link endProbe} in any case. `undefined`: close it. `most`: what we allow ourselves, in milliseconds.
   */
  beginProbe(most: number): number | undefined {
    if (this.#probing || this.#current >= most) return undefined;
    this.#probing = true;
    return Math.min(most, Math.max(2 * this.#current, this.#current + step));
  }

  /** `idle`: milliseconds it has stood; absent where the peer closed it, or nobody knows. */
  endProbe(idle?: number): void {
    this.#probing = false;
    if (idle !== undefined) this.#current = Math.max(this.#current, idle);
  }
}
