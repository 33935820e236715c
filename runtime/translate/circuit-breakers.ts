import type { BreakerLimits, RouteCircuitBreaker } from '../model/index.ts';
import {
  type CircuitBreakerPolicyObject,
  describeObject,
  type GrpcRouteObject,
  type HttpRouteObject,
  namespaceOf,
} from '../resources/index.ts';
import type { Inventory } from './inventory.ts';
import type { Report } from './report.ts';
import type { ServiceEntries, ServicePortEntry } from './services.ts';
import { accepted, type ObjectStatus, ownStatus, referenceTo, type Verdict } from './status.ts';
import { conflictWith, describeTarget, missingRoute, resolveTarget } from './targets.ts';

/** What CircuitBreakerPolicies say of routes. */
export interface RouteCircuitBreakers {
  /** Those of the route, then those of the rule. */
  ofRule(route: HttpRouteObject | GrpcRouteObject, name: string): readonly RouteCircuitBreaker[];
}

type Policy = CircuitBreakerPolicyObject;
type Ref = Policy['spec']['targetRefs'][number];

/** Limits the ports of Services that CircuitBreakerPolicies target, and tells what they say of routes. The oldest wins. */
export function readCircuitBreakers(
  inventory: Inventory,
  services: ServiceEntries,
  report: Report,
  statuses: ObjectStatus[],
): RouteCircuitBreakers {
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
    const fitting = found.ports.filter((port) => fits(policy, port));
    if (fitting.length === 0) {
      const message = `${target} speaks tcp, which has connections, but no requests to limit`;
      report('MW1370', policy, { message, hint: 'limit its streams with maxConnections' });
      return { holds: false, reason: 'Invalid', message };
    }
    let problem: Verdict | undefined;
    for (const port of fitting) {
      const conflict = claim(policy, port, ports, `port ${port.port} of ${target}`);
      problem ??= conflict;
      if (!conflict) port.circuitBreaker = { policy: referenceTo(policy), limits: limitsOf(policy, port) };
    }
    return problem;
  }

  function claim<K>(policy: Policy, key: K, owners: Map<K, Policy>, what: string): Verdict | undefined {
    const conflict = conflictWith(owners.get(key), policy, what, report);
    if (!conflict) owners.set(key, policy);
    return conflict;
  }

  for (const policy of inventory.all('CircuitBreakerPolicy')) {
    const problems = policy.spec.targetRefs.flatMap((ref, index) => attach(policy, ref, index) ?? []);
    const unresolved = problems.find(({ reason }) => reason === 'TargetNotFound');
    statuses.push(ownStatus(policy, problems[0] ?? accepted, unresolved));
  }
  return {
    ofRule(route, name) {
      const whole = describeObject(route);
      const breakerOf = (target: string) => {
        const policy = routes.get(target);
        return policy ? [{ policy: referenceTo(policy), limits: limitsOf(policy) }] : [];
      };
      return [
        ...breakerOf(whole).map((breaker) => ({ ...breaker, wholeRoute: true as const })),
        ...breakerOf(`${whole} ${name}`),
      ];
    },
  };
}

/** On a TCP port there are no requests. */
function limitsOf({ spec }: Policy, port?: ServicePortEntry): BreakerLimits {
  const { maxConnections, maxPendingRequests, maxRequests } = spec;
  const connections = maxConnections !== undefined && { connections: maxConnections };
  if (port?.protocol === 'tcp') return { ...connections };
  return {
    ...connections,
    ...(maxPendingRequests !== undefined && { pending: maxPendingRequests }),
    ...(maxRequests !== undefined && { requests: maxRequests }),
  };
}

function fits({ spec }: Policy, { protocol }: ServicePortEntry): boolean {
  return protocol !== 'tcp' || spec.maxConnections !== undefined;
}
