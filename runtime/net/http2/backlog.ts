import type { Connection } from '../connection.ts';

/** Output that may pile up at a peer which does not read before we stop reading from it. */
const maxBacklog = 262_144;

/** Stops reading from a client that asks and never reads the answers; bodies wait in their queues meanwhile. */
export class Backlog {
  readonly #connection: Connection;
  #bytes = 0;
  #paused = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Bytes were written that the peer was not ready for. */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#paused || this.#bytes < maxBacklog) return;
    this.#paused = true;
    this.#connection.pause();
  }

  /** The peer reads again, or it does not matter any more whether it does. */
  clear(): void {
    this.#bytes = 0;
    if (!this.#paused) return;
    this.#paused = false;
    this.#connection.resume();
  }
}
