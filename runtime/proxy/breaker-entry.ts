import { type Breaker, firstOpen } from '../engine/index.ts';
import { Overflow } from './exchange-failure.ts';

/** What one try, or copy, counts in the circuit breakers that limit it, however many and whatever they are later. */
export class BreakerEntry {
  readonly #breakers: readonly Breaker[];
  #waiting = false;
  #ended = false;

  private constructor(breakers: readonly Breaker[]) {
    this.#breakers = breakers;
  }

  /** Counts it as under way; where nothing limits it, there is nothing to count. */
  static start(breakers: readonly Breaker[] | undefined): BreakerEntry | undefined {
    if (!breakers) return undefined;
    for (const breaker of breakers) breaker.startRequest();
    return new BreakerEntry(breakers);
  }

  /** Counts it as waiting for a connection, too, unless as many wait as may: then says so. */
  wait(): Overflow | undefined {
    const open = firstOpen(this.#breakers, 'pending');
    if (open) return new Overflow(open, 'pending');
    this.#waiting = true;
    for (const breaker of this.#breakers) breaker.startWaiting();
    return undefined;
  }

  stopWaiting(): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    for (const breaker of this.#breakers) breaker.endWaiting();
  }

  /** Takes it out of all counts; only the first call does anything. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.stopWaiting();
    for (const breaker of this.#breakers) breaker.endRequest();
  }
}
