import type { Random } from '../model/index.ts';

const first = 100;
const longest = 5000;

/**
 * Milliseconds to wait before trying the controller again after `failures` failures in a row: doubled each time up to
 * five seconds, of which a random half, so that the proxies of a mesh do not come back all at once.
 */
export function retryDelay(failures: number, random: Random): number {
  const delay = Math.min(longest, first * 2 ** Math.min(failures - 1, 16));
  return delay * (0.5 + random() / 2);
}
