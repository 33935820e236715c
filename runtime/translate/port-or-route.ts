import {
  type CircuitBreakerPolicyObject,
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

type Policy = CircuitBreakerPolicyObject | TimeoutPolicyObject;

/** What a kind of policies means for the ports of Services. */
interface PortRules<P extends Policy> {
  fits(policy: P, port: ServicePortEntry): boolean;
  /** Why none of the ports fits; reports it. */
  refuse(policy: P, target: string): Verdict;
  /** The policy holds for a port. */
  attach(policy: P, port: ServicePortEntry): void;
}

/** The policies of one kind that hold for a route, and for a rule of it. */
export type PoliciesOfRule<P> = (
  route: HttpRouteObject | GrpcRouteObject,
  rule: string,
) => { readonly ofRoute?: P; readonly ofRule?: P };

/** Attaches policies, oldest first, to ports of Services, and tells those of routes; for each the first one holds. */
export function attachToPortsOrRoutes<P extends Policy>(
  policies: readonly P[],
  { fits, refuse, attach }: PortRules<P>,
  inventory: Inventory,
  services: ServiceEntries,
  report: Report,
  statuses: ObjectStatus[],
): PoliciesOfRule<P> {
  const ports = new Map<ServicePortEntry, P>();
  const routes = new Map<string, P>();

  function claim<K>(policy: P, key: K, owners: Map<K, P>, what: string): Verdict | undefined {
    const conflict = conflictWith(owners.get(key), policy, what, report);
    if (!conflict) owners.set(key, policy);
    return conflict;
  }

  /** Why a reference of a policy comes to nothing. */
  function problemOf(policy: P, ref: P['spec']['targetRefs'][number], index: number): Verdict | undefined {
    const target = describeTarget(namespaceOf(policy), ref);
    if (ref.kind !== 'Service') {
      return missingRoute(policy, ref, index, inventory, report) ?? claim(policy, target, routes, target);
    }
    const { target: found, verdict } = resolveTarget(policy, ref, index, services, report);
    if (!found) return verdict;
    const fitting = found.ports.filter((port) => fits(policy, port));
    if (fitting.length === 0) return refuse(policy, target);
    let problem: Verdict | undefined;
    for (const port of fitting) {
      const conflict = claim(policy, port, ports, `port ${port.port} of ${target}`);
      problem ??= conflict;
      if (!conflict) attach(policy, port);
    }
    return problem;
  }

  for (const policy of policies) {
    const problems = policy.spec.targetRefs.flatMap((ref, index) => problemOf(policy, ref, index) ?? []);
    const unresolved = problems.find(({ reason }) => reason === 'TargetNotFound');
    statuses.push(ownStatus(policy, problems[0] ?? accepted, unresolved));
  }
  return (route, rule) => {
    const whole = describeObject(route);
    return { ofRoute: routes.get(whole), ofRule: routes.get(`${whole} ${rule}`) };
  };
}
