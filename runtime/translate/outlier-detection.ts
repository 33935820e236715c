import { type OutlierDetection, parseDuration } from '../model/index.ts';
import type { OutlierDetectionPolicyObject } from '../resources/index.ts';
import { outOfLimits, type Problem } from './duration-limits.ts';
import type { Inventory } from './inventory.ts';
import type { Report } from './report.ts';
import type { ServiceEntries, ServicePortEntry } from './services.ts';
import { accepted, type ObjectStatus, ownStatus, referenceTo, type Verdict } from './status.ts';
import { conflictWith, resolveTargets } from './targets.ts';

/** As in Envoy and Istio. */
const defaults = { base: '30s', most: '5m', interval: '10s' };
const defaultMinRequests = 20;
/** Envoy's 10 keeps services of less than ten replicas from ever ejecting one. */
const defaultMaxPercent = 50;

/** Has callers of the ports that OutlierDetectionPolicies target leave endpoints alone that fail; the oldest policy wins. */
export function applyOutlierDetection(
  inventory: Inventory,
  services: ServiceEntries,
  report: Report,
  statuses: ObjectStatus[],
): void {
  const owners = new Map<ServicePortEntry, OutlierDetectionPolicyObject>();
  for (const policy of inventory.all('OutlierDetectionPolicy')) {
    const { targets, verdict: found } = resolveTargets(policy, services, report);
    const problem = problemOf(policy);
    if (problem) report('MW1371', policy, problem);
    let verdict: Verdict = problem
      ? { holds: false, reason: 'Invalid', message: problem.message }
      : (found ?? accepted);
    for (const { service, ports } of problem ? [] : targets) {
      for (const port of ports) {
        const what = `port ${port.port} of Service ${service.name}`;
        const conflict = conflictWith(owners.get(port), policy, what, report);
        if (conflict) {
          verdict = conflict;
          continue;
        }
        owners.set(port, policy);
        port.outlierDetection = toModel(policy);
      }
    }
    statuses.push(ownStatus(policy, verdict, found));
  }
}

function problemOf({ spec }: OutlierDetectionPolicyObject): Problem | undefined {
  const { baseEjectionTime, maxEjectionTime, failurePercentage } = spec;
  const outside =
    outOfLimits('spec.baseEjectionTime', baseEjectionTime, '1s', '1h') ??
    outOfLimits('spec.maxEjectionTime', maxEjectionTime, '1s', '24h') ??
    outOfLimits('spec.failurePercentage.interval', failurePercentage?.interval, '1s', '1h');
  if (outside) return outside;
  const { base = defaults.base, most = base } = { base: baseEjectionTime, most: maxEjectionTime };
  if (parseDuration(most) >= parseDuration(base)) return undefined;
  return {
    path: 'spec.maxEjectionTime',
    message: `the longest ejection (${most}) is shorter than the first (${base})`,
    hint: 'state a maxEjectionTime of at least baseEjectionTime',
  };
}

function toModel(policy: OutlierDetectionPolicyObject): OutlierDetection {
  const { consecutive5xxErrors, consecutiveGatewayErrors, failurePercentage, ...ejection } = policy.spec;
  const base = parseDuration(ejection.baseEjectionTime ?? defaults.base);
  const most = ejection.maxEjectionTime;
  return {
    policy: referenceTo(policy),
    ...(consecutive5xxErrors !== undefined && { consecutiveErrors: consecutive5xxErrors }),
    ...(consecutiveGatewayErrors !== undefined && { consecutiveGatewayErrors }),
    ...(failurePercentage && {
      failurePercentage: {
        threshold: failurePercentage.threshold,
        minRequests: failurePercentage.minRequests ?? defaultMinRequests,
        interval: parseDuration(failurePercentage.interval ?? defaults.interval),
      },
    }),
    baseEjectionTime: base,
    maxEjectionTime: most === undefined ? Math.max(base, parseDuration(defaults.most)) : parseDuration(most),
    maxEjectionPercent: ejection.maxEjectionPercent ?? defaultMaxPercent,
  };
}
