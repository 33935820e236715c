import type { Clock, Timer } from '../../runtime/model/index.ts';

/** Time that passes only when a test says so. */
export class ManualClock implements Clock {
  readonly #start = Date.now();
  readonly #timers = new Set<{ readonly due: number; readonly callback: () => void }>();
  #now = 0;
  /** How many timers were ever asked for. */
  scheduled = 0;

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#start + this.#now;
  }

  schedule(delay: number, callback: () => void): Timer {
    const timer = { due: this.#now + delay, callback };
    this.#timers.add(timer);
    this.scheduled++;
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** Lets time pass and runs what comes due, in order. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (let timer = this.#next(end); timer; timer = this.#next(end)) {
      this.#timers.delete(timer);
      this.#now = timer.due;
      timer.callback();
    }
    this.#now = end;
  }

  #next(end: number) {
    return [...this.#timers].filter(({ due }) => due <= end).sort((a, b) => a.due - b.due)[0];
  }
}
