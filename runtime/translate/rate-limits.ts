import { parseDuration, type RateLimit, type RateLimitKey } from '../model/index.ts';
import { describeObject, type RateLimitPolicyObject } from '../resources/index.ts';
import { enforcersOf } from './enforcers.ts';
import type { Inventory } from './inventory.ts';
import { operationsOf } from './operations.ts';
import type { Report } from './report.ts';
import type { ServiceEntries } from './services.ts';
import { accepted, type ObjectStatus, ownStatus, referenceTo, type Verdict } from './status.ts';
import { type PolicyTarget, resolveTargets } from './targets.ts';
import type { Workloads } from './workloads.ts';

/** Attaches the RateLimitPolicies to the workloads behind the Services they target. */
export function attachRateLimits(
  inventory: Inventory,
  services: ServiceEntries,
  workloads: Workloads,
  report: Report,
  statuses: ObjectStatus[],
): void {
  for (const policy of inventory.all('RateLimitPolicy')) {
    const { targets, verdict: found } = resolveTargets(policy, services, report);
    const { limits, problem } = translateLimits(policy, report);
    const verdict: Verdict = problem ? { holds: false, reason: 'Invalid', message: problem } : (found ?? accepted);
    statuses.push(ownStatus(policy, verdict, found));
    for (const target of targets) warnOfTcp(policy, limits, target, report);
    for (const [workload, ports] of enforcersOf(policy, targets, workloads, report)) {
      workload.rateLimits.push({
        policy: referenceTo(policy),
        ...(ports && { ports }),
        ...(policy.spec.headers === 'Always' && { headers: 'always' }),
        limits,
      });
    }
  }
}

type Limit = RateLimitPolicyObject['spec']['limits'][number];

function translateLimits(policy: RateLimitPolicyObject, report: Report): { limits: RateLimit[]; problem?: string } {
  let problem: string | undefined;
  const refuse = (path: string, message: string, hint: string) => {
    problem ??= message;
    report('MW1306', policy, { path, message, hint });
  };
  const limits = policy.spec.limits.flatMap((limit, index): RateLimit[] => {
    const path = `spec.limits[${index}]`;
    const interval = parseDuration(limit.interval);
    if (interval === 0) {
      refuse(`${path}.interval`, 'the interval is 0', 'state in which time the requests are counted, such as 1s');
      return [];
    }
    const to = operationsOf(limit.to, { kind: 'prefix', value: '/' }, (place, message) =>
      refuse(`${path}.${place}`, message, 'correct the pattern; until then the limit counts every path'),
    );
    const { requests, burst = requests } = limit;
    return [{ name: limit.name ?? `limit-${index}`, requests, interval, burst, key: keyOf(limit), to }];
  });
  return { limits, ...(problem !== undefined && { problem }) };
}

function keyOf({ key }: Limit): RateLimitKey {
  if (key?.header !== undefined) return { kind: 'header', name: key.header.toLowerCase() };
  return { kind: key ? 'caller' : 'total' };
}

function warnOfTcp(
  policy: RateLimitPolicyObject,
  limits: readonly RateLimit[],
  { ports }: PolicyTarget,
  report: Report,
): void {
  const tcp = ports.find(({ protocol }) => protocol === 'tcp');
  const limit = limits.find(({ to, key }) => key.kind === 'header' || to.length > 0);
  if (!tcp || !limit) return;
  report('MW1306', policy, {
    message: `${limit.name} of ${describeObject(policy)} asks for methods, paths or headers, which a tcp port (${tcp.port}) does not have`,
    hint: 'name the http port with sectionName, or count connections in total or by caller',
  });
}
