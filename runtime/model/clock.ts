import { setSharedTimer } from './timer-line.ts';

/** A pending timer; see {@link Clock.schedule}. */
export interface Timer {
  cancel(): void;
}

/** Time, passed in wherever it is needed so that tests never sleep. */
export interface Clock {
  /** Monotonic milliseconds; only differences mean anything. */
  now(): number;
  /** Wall-clock milliseconds since the Unix epoch. */
  wallTime(): number;
  /** Runs `callback` once after `delay` milliseconds. The timer does not keep the process alive. */
  schedule(delay: number, callback: () => void): Timer;
}

/** A source of uniformly distributed numbers in [0, 1). */
export type Random = () => number;

/** Milliseconds that the event loop of this process had nothing to do, in all. */
export const loopIdleTime = (): number => performance.nodeTiming.idleTime;

/** Node's timers of more milliseconds fire at once. */
const longestTimer = 2 ** 31 - 1;

/** The process's own clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  schedule(delay, callback) {
    if (delay > longestTimer) return scheduleInSteps(delay, callback);
    const shared = setSharedTimer(delay, callback);
    if (shared) return shared;
    const timeout = setTimeout(callback, delay);
    timeout.unref();
    return { cancel: () => clearTimeout(timeout) };
  },
};

/** A caller's deadline, or a limit of a route, may be months away. */
function scheduleInSteps(delay: number, callback: () => void): Timer {
  const wait = (left: number): Timer =>
    left > longestTimer
      ? systemClock.schedule(longestTimer, () => {
          timer = wait(left - longestTimer);
        })
      : systemClock.schedule(left, callback);
  let timer = wait(delay);
  return { cancel: () => timer.cancel() };
}
