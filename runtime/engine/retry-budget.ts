import { type Clock, defaultRetryBudget, type RetryBudget } from '../model/index.ts';

/** Keeps repetitions from multiplying the load of a service that is failing. */
export interface RetryAllowance {
  /** Counts a request that began at `now`, in milliseconds of the clock. */
  deposit(now: number): void;
  /** Takes a repetition; false when there is none left. */
  withdraw(): boolean;
}

/** Keeps to a budget: repetitions are a share of the requests of the last while, or few enough in any case. */
export function createRetryBudget(clock: Clock, budget: RetryBudget = defaultRetryBudget): RetryAllowance {
  const { percent, interval, minRetryRate } = budget;
  const requests = createWindow(interval);
  const retries = createWindow(interval);
  const recent = createWindow(minRetryRate.interval);
  return {
    deposit: (now) => requests.add(now),
    withdraw() {
      const now = clock.now();
      const withinShare = retries.total(now) + 1 <= (requests.total(now) * percent) / 100 + rounding;
      if (!withinShare && recent.total(now) >= minRetryRate.count) return false;
      retries.add(now);
      recent.add(now);
      return true;
    },
  };
}

/** A share of a whole number is not exact. */
const rounding = 1e-9;
/** What is counted leaves a window in steps of a tenth of it. */
const slots = 10;

/** Counts what happened within the last `length` milliseconds. */
function createWindow(length: number) {
  const counts = new Array<number>(slots).fill(0);
  const width = length / slots;
  let latest = 0;
  let sum = 0;

  function advance(now: number): void {
    const slot = Math.floor(now / width);
    for (let passed = Math.max(latest + 1, slot - slots + 1); passed <= slot; passed++) {
      sum -= counts[passed % slots];
      counts[passed % slots] = 0;
    }
    latest = Math.max(latest, slot);
  }

  return {
    add(now: number): void {
      advance(now);
      counts[latest % slots]++;
      sum++;
    },
    total(now: number): number {
      advance(now);
      return sum;
    },
  };
}
