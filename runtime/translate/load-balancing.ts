import { describeObject, type LoadBalancingPolicyObject } from '../resources/index.ts';
import type { Inventory } from './inventory.ts';
import type { Report } from './report.ts';
import type { ServiceEntries, ServiceEntry } from './services.ts';
import { accepted, condition, type ObjectStatus, referenceTo, type Verdict } from './status.ts';
import { resolveTargets } from './targets.ts';

/** Sets the balancers of the Services that LoadBalancingPolicies target; the oldest policy wins. */
export function applyLoadBalancingPolicies(
  inventory: Inventory,
  services: ServiceEntries,
  report: Report,
  statuses: ObjectStatus[],
): void {
  const owners = new Map<ServiceEntry, LoadBalancingPolicyObject>();
  for (const policy of inventory.all('LoadBalancingPolicy')) {
    const { targets, verdict: found } = resolveTargets(policy, services, report);
    let verdict: Verdict = found ?? accepted;
    for (const { service } of targets) {
      const owner = owners.get(service);
      if (!owner) {
        owners.set(service, policy);
        service.balancer = policy.spec.algorithm === 'RoundRobin' ? 'round-robin' : 'least-request';
        continue;
      }
      const message = `Service ${service.name} already has ${describeObject(owner)}`;
      verdict = { holds: false, reason: 'Conflicted', message };
      report('MW1302', policy, { message, hint: 'keep one LoadBalancingPolicy for the Service' });
    }
    statuses.push({ object: referenceTo(policy), conditions: [condition(policy, 'Accepted', verdict)] });
  }
}
