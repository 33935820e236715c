/** Delays from here on, in milliseconds, are those of timeouts: most are cancelled long before. */
const shortestShared = 1000;
const maxLines = 64;
const lines = new Map<number, TimerLine>();

/** Timers of one delay. They fire in the order in which they were set, so that one of Node's serves all of them. */
class TimerLine {
  first: SharedTimer | undefined;
  last: SharedTimer | undefined;
  readonly #delay: number;
  #armed = false;

  constructor(delay: number) {
    this.#delay = delay;
  }

  add(callback: () => void): SharedTimer {
    const timer = new SharedTimer(this, performance.now() + this.#delay, callback);
    if (!this.#armed) this.#arm(this.#delay);
    return timer;
  }

  #arm(delay: number): void {
    this.#armed = true;
    setTimeout(() => this.#fire(), delay).unref();
  }

  #fire(): void {
    try {
      const now = performance.now();
      // Node's timers may fire a fraction of a millisecond early.
      while (this.first && this.first.due - now < 1) this.first.fire();
    } finally {
      this.#armed = false;
      if (this.first) this.#arm(Math.max(0, this.first.due - performance.now()));
      else lines.delete(this.#delay);
    }
  }
}

class SharedTimer {
  readonly due: number;
  readonly #line: TimerLine;
  readonly #callback: () => void;
  #previous: SharedTimer | undefined;
  #next: SharedTimer | undefined;
  #waiting = true;

  constructor(line: TimerLine, due: number, callback: () => void) {
    this.#line = line;
    this.due = due;
    this.#callback = callback;
    this.#previous = line.last;
    if (line.last) line.last.#next = this;
    else line.first = this;
    line.last = this;
  }

  fire(): void {
    this.cancel();
    this.#callback();
  }

  cancel(): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    if (this.#previous) this.#previous.#next = this.#next;
    else this.#line.first = this.#next;
    if (this.#next) this.#next.#previous = this.#previous;
    else this.#line.last = this.#previous;
    this.#previous = undefined;
    this.#next = undefined;
  }
}

/** Sets a timer that shares one of Node's with others of the same delay; `undefined` where that would not pay. */
export function setSharedTimer(delay: number, callback: () => void): { cancel(): void } | undefined {
  let line = lines.get(delay);
  if (!line) {
    if (delay < shortestShared || !Number.isInteger(delay) || lines.size >= maxLines) return undefined;
    line = new TimerLine(delay);
    lines.set(delay, line);
  }
  return line.add(callback);
}
