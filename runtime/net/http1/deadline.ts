import type { Clock, Timer } from '../../model/index.ts';

/**
 * A moment that moves with every message, watched by one timer that is rarely touched: when it fires too early it is
 * set again. Delays not shorter than `period` cost no timer.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #period: number;
  readonly #tick: () => void;
  #timer: Timer | undefined;
  #due = Number.POSITIVE_INFINITY;
  #fires = Number.POSITIVE_INFINITY;
  #since = 0;

  constructor(clock: Clock, period: number, expire: () => void) {
    this.#clock = clock;
    this.#period = period;
    this.#tick = () => {
      const now = this.#clock.now();
      this.#timer = undefined;
      this.#fires = Number.POSITIVE_INFINITY;
      // Timers may fire a fraction of a millisecond early.
      if (this.#due - now < 1) expire();
      else this.#arm(now);
    };
  }

  /** Due in `delay` milliseconds from now, whatever was set before. */
  set(delay: number): void {
    const now = this.#clock.now();
    this.#since = now;
    this.#due = now + delay;
    if (this.#due < this.#fires) this.#arm(now);
  }

  /** Milliseconds since the last {@link set}. */
  get elapsed(): number {
    return this.#clock.now() - this.#since;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#due = Number.POSITIVE_INFINITY;
    this.#fires = Number.POSITIVE_INFINITY;
  }

  #arm(now: number): void {
    this.#timer?.cancel();
    const delay = Math.min(this.#due - now, this.#period);
    this.#fires = now + delay;
    this.#timer = this.#clock.schedule(delay, this.#tick);
  }
}
