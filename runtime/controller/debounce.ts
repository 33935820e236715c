import type { Clock, Timer } from '../model/index.ts';

/** A change is told of once all is quiet for this many milliseconds… */
const quiet = 50;
/** …or at the latest after these. */
const patience = 250;

/** Calls back once for what comes at about the same time. */
export class Debounce {
  readonly #clock: Clock;
  readonly #callback: () => void;
  #timer: Timer | undefined;
  #since: number | undefined;

  constructor(clock: Clock, callback: () => void) {
    this.#clock = clock;
    this.#callback = callback;
  }

  poke(): void {
    const now = this.#clock.now();
    this.#since ??= now;
    this.#timer?.cancel();
    this.#timer = this.#clock.schedule(Math.max(0, Math.min(quiet, this.#since + patience - now)), () => {
      this.#since = undefined;
      this.#callback();
    });
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#since = undefined;
  }
}
