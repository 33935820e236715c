import { type BreakerLimits, describeReference, type RouteCircuitBreaker } from '../model/index.ts';
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
import { resolveTarget } from './targets.ts';

/** What CircuitBreakerPolicies say of routes. */
export interface RouteCircuitBreakers {
  /** Those of the route, then those of the rule. */
  ofRule(route: HttpRouteObject | GrpcRouteObject, name: string | undefined): readonly RouteCircuitBreaker[];
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
    const target = describeRef(policy, ref);
    if (ref.kind !== 'Service') {
      const missing = missingRoute(inventory, policy, ref);
      if (missing) {
        report('MW1301', policy, { path: `spec.targetRefs[${index}]`, ...missing });
        return { holds: false, reason: 'TargetNotFound', message: missing.message };
      }
      return claim(policy, target, routes, target);
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
    const owner = owners.get(key);
    if (!owner || owner === policy) {
      owners.set(key, policy);
      return undefined;
    }
    const message = `${what} already has ${describeObject(owner)}`;
    report('MW1302', policy, { message, hint: 'keep one CircuitBreakerPolicy for it' });
    return { holds: false, reason: 'Conflicted', message };
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
        ...(name === undefined ? [] : breakerOf(`${whole} ${name}`)),
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

function missingRoute(
  inventory: Inventory,
  policy: Policy,
  { kind, name, sectionName }: Ref,
): { readonly message: string; readonly hint: string } | undefined {
  const namespace = namespaceOf(policy);
  const route = inventory.find(kind as 'HTTPRoute' | 'GRPCRoute', namespace, name);
  if (!route) {
    return { message: `${kind} ${namespace}/${name} is not there`, hint: 'correct the name, or add the route' };
  }
  const names = (route.spec.rules ?? []).flatMap((rule) => rule.name ?? []);
  if (sectionName === undefined || names.includes(sectionName)) return undefined;
  return {
    message: `${describeObject(route)} has no rule named ${sectionName}`,
    hint: names.length ? `its named rules are ${names.join(', ')}` : 'give the rule a name',
  };
}

function describeRef(policy: Policy, { kind, name, sectionName }: Ref): string {
  const object = describeReference({ kind, namespace: namespaceOf(policy), name });
  return kind === 'Service' || sectionName === undefined ? object : `${object} ${sectionName}`;
}
