import { type Timeouts, timeLimits } from '../model/index.ts';

/**
 * The limits of what a rule sends on: of each the one that stands nearest, that of the rule, of the port it is sent to,
 * or of the port that was asked for.
 */
export function nearestTimeouts(rule: Timeouts, target: Timeouts | undefined, asked: Timeouts | undefined): Timeouts {
  return target || asked ? { ...asked, ...target, ...rule } : rule;
}

/** Whether two limit the same. */
export function sameTimeouts(a: Timeouts, b: Timeouts): boolean {
  return timeLimits.every((limit) => a[limit] === b[limit]);
}
