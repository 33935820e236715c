import { ApiError } from '../../kubernetes/index.ts';
import type { Clock, Random } from '../../model/index.ts';

const first = 500;
const longest = 10_000;
const longestAskedFor = 60_000;

/**
 * Milliseconds to wait after `failures` failures in a row: doubled each time up to ten seconds, of which a random half;
 * longer where the server asks for it, up to a minute.
 */
export function backoff(failures: number, random: Random, error?: unknown): number {
  const delay = Math.min(longest, first * 2 ** Math.min(failures - 1, 16)) * (0.5 + random() / 2);
  const asked = error instanceof ApiError ? (error.retryAfter ?? 0) : 0;
  return Math.max(delay, Math.min(asked, longestAskedFor));
}

/** Resolves after `delay` milliseconds, or at once when the signal says so. */
export function pause(clock: Clock, delay: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      timer.cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.schedule(delay, done);
    signal.addEventListener('abort', done);
  });
}
