import type { Clock } from '../../model/index.ts';

/** A token bucket. The clock is read only when the bucket is empty, so that taking costs next to nothing. */
export class Budget {
  readonly #capacity: number;
  readonly #perSecond: number;
  readonly #clock: Clock;
  #left: number;
  #filledAt: number;

  constructor(capacity: number, perSecond: number, clock: Clock) {
    this.#capacity = capacity;
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#left = capacity;
    this.#filledAt = clock.now();
  }

  /** Takes one token; false when there is none. */
  take(): boolean {
    if (this.#left < 1) this.#refill();
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }

  /** Gives tokens back for useful work that was seen. */
  give(tokens: number): void {
    this.#left = Math.min(this.#capacity, this.#left + tokens);
  }

  #refill(): void {
    const now = this.#clock.now();
    this.give(((now - this.#filledAt) * this.#perSecond) / 1000);
    this.#filledAt = now;
  }
}
