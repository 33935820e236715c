import type { Clock, Random, Timer } from '../../model/index.ts';
import { backoff } from './backoff.ts';

export interface WorkQueueOptions {
  /** Brings what the key stands for in order; what it rejects with is tried again. */
  readonly handle: (key: string) => Promise<void>;
  /** Told of each failure, with how many there were in a row. */
  readonly onError: (key: string, error: unknown, failures: number) => void;
  readonly clock: Clock;
  readonly random: Random;
}

const concurrency = 8;
/** Works begun a second, in the long run… */
const rate = 50;
/** …and at once after a quiet time. */
const burst = 100;
/** The same key is not worked on twice within these milliseconds. */
const cooldown = 1_000;

/**
 * Keys that wait for work, each once at most, however often it is added; one that is added while it is worked on is
 * worked on again. So the queue is never longer than there are keys, and who adds one too many costs nothing.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  /** In the order in which they came. */
  readonly #waiting = new Set<string>();
  /** Being worked on, with whether they were added meanwhile. */
  readonly #running = new Map<string, { again: boolean }>();
  /** Resting: worked on a moment ago, or to be tried again later. */
  readonly #resting = new Map<string, { readonly timer: Timer; again: boolean }>();
  readonly #failures = new Map<string, number>();
  #tokens = burst;
  #filledAt: number;
  #refill: Timer | undefined;
  /** How often it was cleared. */
  #generation = 0;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#filledAt = options.clock.now();
  }

  add(key: string): void {
    const busy = this.#running.get(key) ?? this.#resting.get(key);
    if (busy) busy.again = true;
    else {
      this.#waiting.add(key);
      this.#work();
    }
  }

  /** Forgets all that waits. */
  clear(): void {
    this.#generation++;
    this.#waiting.clear();
    this.#failures.clear();
    for (const { timer } of this.#resting.values()) timer.cancel();
    this.#resting.clear();
    for (const running of this.#running.values()) running.again = false;
    this.#refill?.cancel();
    this.#refill = undefined;
  }

  #work(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= concurrency || !this.#take()) return;
      this.#waiting.delete(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    const { handle, onError, random } = this.#options;
    const running = { again: false };
    const generation = this.#generation;
    this.#running.set(key, running);
    let delay = cooldown;
    try {
      await handle(key);
      this.#failures.delete(key);
    } catch (error) {
      if (generation === this.#generation) {
        const failures = (this.#failures.get(key) ?? 0) + 1;
        this.#failures.set(key, failures);
        delay = Math.max(cooldown, backoff(failures, random, error));
        running.again = true;
        onError(key, error, failures);
      }
    }
    this.#running.delete(key);
    this.#rest(key, delay, running.again);
    this.#work();
  }

  #rest(key: string, delay: number, again: boolean): void {
    const timer = this.#options.clock.schedule(delay, () => {
      this.#resting.delete(key);
      if (resting.again) this.add(key);
    });
    const resting = { timer, again };
    this.#resting.set(key, resting);
  }

  /** Takes the right to begin one work; where there is none, goes on when there is. */
  #take(): boolean {
    const { clock } = this.#options;
    const now = clock.now();
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filledAt) / 1000) * rate);
    this.#filledAt = now;
    if (this.#tokens >= 1) {
      this.#tokens--;
      return true;
    }
    this.#refill ??= clock.schedule(Math.ceil(((1 - this.#tokens) / rate) * 1000), () => {
      this.#refill = undefined;
      this.#work();
    });
    return false;
  }
}
