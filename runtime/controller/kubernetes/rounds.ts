import type { Logger } from '../../identity/index.ts';
import type { Clock, Random } from '../../model/index.ts';
import { pause } from './backoff.ts';

export interface RoundsOptions {
  /** Milliseconds between the end of a round and the next, at least: up to a fifth is added, so that many do not meet. */
  readonly interval: number;
  /** What a round that fails means. */
  readonly complaint: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Does something again and again. Why it fails is told once, until it fails for another reason, or did not. */
export class Rounds {
  readonly #options: RoundsOptions;
  readonly #closing = new AbortController();
  #started = false;
  #problem: string | undefined;

  constructor(options: RoundsOptions) {
    this.#options = options;
  }

  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Begins the first round at once; does nothing when called again. */
  start(round: () => Promise<void>): void {
    if (this.#started) return;
    this.#started = true;
    void this.#run(round);
  }

  /** There is no further round; one that has begun goes on. */
  close(): void {
    this.#closing.abort();
  }

  async #run(round: () => Promise<void>): Promise<void> {
    const { interval, clock, random } = this.#options;
    while (!this.closed) {
      try {
        await round();
        this.#problem = undefined;
      } catch (error) {
        this.#tell(error instanceof Error ? error.message : String(error));
      }
      await pause(clock, interval * (1 + random() / 5), this.#closing.signal);
    }
  }

  #tell(reason: string): void {
    if (reason === this.#problem) return;
    this.#problem = reason;
    this.#options.logger.warn({ reason }, this.#options.complaint);
  }
}
