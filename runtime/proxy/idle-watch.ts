import type { Clock, Timer } from '../model/index.ts';

/** Tells when nothing has moved for a while. Its timer looks up when it fires, so that {@link touch} costs little. */
export class IdleWatch {
  readonly #clock: Clock;
  readonly #timeout: number;
  readonly #onIdle: () => void;
  #lastActivity: number;
  #timer: Timer;

  /** `timeout` in milliseconds. */
  constructor(clock: Clock, timeout: number, onIdle: () => void) {
    this.#clock = clock;
    this.#timeout = timeout;
    this.#onIdle = onIdle;
    this.#lastActivity = clock.now();
    this.#timer = clock.schedule(timeout, this.#look);
  }

  /** Something moved. */
  touch(): void {
    this.#lastActivity = this.#clock.now();
  }

  stop(): void {
    this.#timer.cancel();
  }

  #look = (): void => {
    const silent = this.#clock.now() - this.#lastActivity;
    if (silent >= this.#timeout) this.#onIdle();
    else this.#timer = this.#clock.schedule(this.#timeout - silent, this.#look);
  };
}
