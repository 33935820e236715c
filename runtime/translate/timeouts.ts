import { parseDuration, type Timeouts } from '../model/index.ts';
import {
  describeObject,
  type GrpcRouteObject,
  type HttpRouteObject,
  namespaceOf,
  type TimeoutPolicyObject,
} from '../resources/index.ts';
import type { Inventory } from './inventory.ts';
import type { Report } from './report.ts';
import type { ServiceEntries, ServicePortEntry } from './services.ts';
import { accepted, type ObjectStatus, ownStatus, type Verdict } from './status.ts';
import { conflictWith, describeTarget, missingRoute, resolveTarget } from './targets.ts';

type Policy = TimeoutPolicyObject;
type Ref = Policy['spec']['targetRefs'][number];

/** Tells what TimeoutPolicies say of the rule of a route; of each limit, what names the rule wins over the route. */
export type RuleTimeoutsOf = (route: HttpRouteObject | GrpcRouteObject, rule: string) => Timeouts;

/** Gives the ports of Services the limits of their TimeoutPolicies, and tells those of routes. The oldest wins. */
export function readTimeoutPolicies(
  inventory: Inventory,
  services: ServiceEntries,
  report: Report,
  statuses: ObjectStatus[],
): RuleTimeoutsOf {
  const ports = new Map<ServicePortEntry, Policy>();
  const routes = new Map<string, Policy>();

  /** Why a reference of a policy comes to nothing. */
  function attach(policy: Policy, ref: Ref, index: number): Verdict | undefined {
    const target = describeTarget(namespaceOf(policy), ref);
    if (ref.kind !== 'Service') {
      return missingRoute(policy, ref, index, inventory, report) ?? claim(policy, target, routes, target);
    }
    const { target: found, verdict } = resolveTarget(policy, ref, index, services, report);
    if (!found) return verdict;
    const fitting = found.ports.filter(({ protocol }) => protocol !== 'tcp');
    if (fitting.length === 0) {
      const message = `${target} speaks tcp, which has no requests`;
      report('MW1320', policy, { message, hint: 'limit its silence with tcpIdleTimeout of the Mesh' });
      return { holds: false, reason: 'Invalid', message };
    }
    let problem: Verdict | undefined;
    for (const port of fitting) {
      const conflict = claim(policy, port, ports, `port ${port.port} of ${target}`);
      problem ??= conflict;
      if (!conflict) port.timeouts = toTimeouts(policy);
    }
    return problem;
  }

  function claim<K>(policy: Policy, key: K, owners: Map<K, Policy>, what: string): Verdict | undefined {
    const conflict = conflictWith(owners.get(key), policy, what, report);
    if (!conflict) owners.set(key, policy);
    return conflict;
  }

  for (const policy of inventory.all('TimeoutPolicy')) {
    const problems = policy.spec.targetRefs.flatMap((ref, index) => attach(policy, ref, index) ?? []);
    const unresolved = problems.find(({ reason }) => reason === 'TargetNotFound');
    statuses.push(ownStatus(policy, problems[0] ?? accepted, unresolved));
  }
  return (route, rule) => {
    const whole = describeObject(route);
    return { ...toTimeouts(routes.get(whole)), ...toTimeouts(routes.get(`${whole} ${rule}`)) };
  };
}

const fields = ['request', 'backendRequest', 'streamIdle', 'maxStreamDuration'] as const;

function toTimeouts(policy: Policy | undefined): Timeouts {
  if (!policy) return {};
  const stated = fields.filter((field) => policy.spec[field] !== undefined);
  return Object.fromEntries(stated.map((field) => [field, parseDuration(policy.spec[field]!)]));
}
