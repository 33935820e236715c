import type { IConstruct } from 'constructs';
import { type GrpcStatus, grpcStatusCodes } from '../../runtime/model/index.ts';
import { isUnknown } from '../placeholder.ts';
import type { RetryProps, RouteRule } from '../route-rule.ts';
import type { Check } from './check.ts';
import { checkDuration } from './duration.ts';
import { quote } from './rules.ts';

/** Reports what is wrong with the retries of a rule. */
export function checkRetry(
  check: Check,
  route: IConstruct,
  label: string,
  { attempts, codes = [], backoff }: RetryProps,
): void {
  if (!isUnknown(attempts) && (!Number.isInteger(attempts) || attempts < 1 || attempts > 100)) {
    check.report(
      'MW1246',
      route,
      `${label}: the number of retry attempts is ${attempts}; allowed are whole numbers from 1 to 100`,
      'state how many tries follow a failed one, or leave `retry` out for none',
    );
  }
  for (const code of codes.filter(
    (code) => !isUnknown(code) && (!Number.isInteger(code) || code < 400 || code > 599),
  )) {
    check.report(
      'MW1246',
      route,
      `${label}: ${code} cannot be retried; allowed are status codes from 400 to 599`,
      'name codes of failures, for example 502, 503 and 504',
    );
  }
  if (backoff) checkDuration(check, route, `${label}: retry.backoff`, backoff);
}

/** Reports statuses for which no call can be repeated. */
export function checkStatuses(check: Check, route: IConstruct, label: string, statuses: readonly GrpcStatus[]): void {
  const refuse = (message: string, hint: string) => check.report('MW1390', route, `${label}: ${message}`, hint);
  if (statuses.length === 0) refuse('retry.statuses is empty', 'name a status, or leave `statuses` out');
  for (const [index, status] of statuses.entries()) {
    if (isUnknown(status)) continue;
    if (!(status in grpcStatusCodes)) {
      const known = Object.keys(grpcStatusCodes).join(', ');
      refuse(`${quote(status)} is no status that a call fails with; allowed are ${known}`, "use 'UNAVAILABLE'");
    } else if (statuses.indexOf(status) !== index) {
      refuse(`retry.statuses has ${status} twice`, 'name it once');
    }
  }
}

/** Reports a second try that would never begin. */
export function checkHedge(check: Check, route: IConstruct, label: string, rule: RouteRule): void {
  const { hedge, backendTimeout, timeout } = rule;
  if (!hedge) return;
  checkDuration(check, route, `${label}: hedge.after`, hedge.after);
  const [after, limit] = [hedge.after, backendTimeout ?? timeout].map((each) =>
    each?.toMilliseconds({ integral: false }),
  );
  if (limit === undefined || !(after! >= limit)) return;
  check.report(
    'MW1390',
    route,
    `${label}: a second try would begin after ${after} ms, when the first is over (${limit} ms)`,
    'make `hedge.after` shorter than the time a try may take',
  );
}
