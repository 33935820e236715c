import type { Clock } from '../../model/index.ts';
import { ConnectionError, ErrorCode } from './frame.ts';

/** A token bucket. The clock is read only when the bucket is empty, so that taking costs next to nothing. */
class Budget {
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

/** What a peer may do that is of no use, before the connection goes. */
export class Patience {
  /** Frames which cost us more than the peer. */
  readonly #overhead: Budget;
  /** Streams that ended early by the peer's doing, its resets or its faults (CVE-2023-44487, CVE-2025-8671). */
  readonly #resets: Budget;

  constructor(clock: Clock) {
    this.#overhead = new Budget(2000, 200, clock);
    this.#resets = new Budget(1000, 500, clock);
  }

  charge(): void {
    if (!this.#overhead.take()) throw new ConnectionError(ErrorCode.EnhanceYourCalm, 'too many frames without use');
  }

  chargeReset(): void {
    if (!this.#resets.take()) throw new ConnectionError(ErrorCode.EnhanceYourCalm, 'too many streams were reset');
  }

  /** Useful traffic earns frames. */
  earn(frames: number): void {
    this.#overhead.give(frames);
  }
}
