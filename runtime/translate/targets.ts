import { describeReference, qualifiedName } from '../model/index.ts';
import {
  type AccessPolicyObject,
  type CircuitBreakerPolicyObject,
  describeObject,
  type FaultPolicyObject,
  type LoadBalancingPolicyObject,
  type MtlsPolicyObject,
  namespaceOf,
  type OutlierDetectionPolicyObject,
  type RateLimitPolicyObject,
  type RetryPolicyObject,
  type TimeoutPolicyObject,
} from '../resources/index.ts';
import type { Inventory } from './inventory.ts';
import type { Report } from './report.ts';
import { orEverything, ruleName } from './route-rules.ts';
import type { ServiceEntries, ServiceEntry, ServicePortEntry } from './services.ts';
import type { Verdict } from './status.ts';

export interface PolicyTarget {
  readonly service: ServiceEntry;
  readonly ports: readonly ServicePortEntry[];
}

type Policy =
  | AccessPolicyObject
  | CircuitBreakerPolicyObject
  | FaultPolicyObject
  | LoadBalancingPolicyObject
  | MtlsPolicyObject
  | OutlierDetectionPolicyObject
  | RateLimitPolicyObject
  | RetryPolicyObject
  | TimeoutPolicyObject;

/** What a policy is attached to, in its own namespace: an object, or with `sectionName` one port or rule of it. */
interface TargetRef {
  readonly kind: string;
  readonly name: string;
  readonly sectionName?: string;
}

/** The Services a policy is attached to; `verdict` says which one is missing. */
export function resolveTargets(
  policy: Exclude<Policy, MtlsPolicyObject | CircuitBreakerPolicyObject | RetryPolicyObject | TimeoutPolicyObject>,
  services: ServiceEntries,
  report: Report,
): { targets: PolicyTarget[]; verdict?: Verdict } {
  const found = policy.spec.targetRefs.map((ref, index) => resolveTarget(policy, ref, index, services, report));
  return {
    targets: found.flatMap(({ target }) => target ?? []),
    verdict: found.find(({ verdict }) => verdict)?.verdict,
  };
}

/** The Service that the reference at `index` means, or why there is none. */
export function resolveTarget(
  policy: Policy,
  { name: service, sectionName }: TargetRef,
  index: number,
  services: ServiceEntries,
  report: Report,
): { readonly target?: PolicyTarget; readonly verdict?: Verdict } {
  const name = qualifiedName(namespaceOf(policy), service);
  const entry = services.get(name);
  const ports = entry?.ports.filter((port) => sectionName === undefined || port.name === sectionName) ?? [];
  if (entry && (sectionName === undefined || ports.length)) return { target: { service: entry, ports } };
  const { message, hint } = entry
    ? {
        message: `Service ${name} has no port named ${sectionName}`,
        hint: `its ports are ${entry.ports.map((port) => port.name).join(', ')}`,
      }
    : services.absence(name);
  return { verdict: notFound(policy, index, message, hint, report) };
}

/** Why the reference at `index` leads to no route of requests, or to no rule of it. */
export function missingRoute(
  policy: Policy,
  { kind, name, sectionName }: TargetRef,
  index: number,
  inventory: Inventory,
  report: Report,
): Verdict | undefined {
  const route = inventory.find(kind as 'HTTPRoute' | 'GRPCRoute', namespaceOf(policy), name);
  if (!route) {
    const message = `${describeTarget(namespaceOf(policy), { kind, name })} is not there`;
    return notFound(policy, index, message, 'correct the name, or add the route', report);
  }
  const names = orEverything<{ readonly name?: string }>(route.spec.rules).map(ruleName);
  if (sectionName === undefined || names.includes(sectionName)) return undefined;
  const message = `${describeObject(route)} has no rule named ${sectionName}`;
  return notFound(policy, index, message, `its rules are ${names.join(', ')}`, report);
}

/** How findings call what a policy in `namespace` is attached to. */
export function describeTarget(namespace: string, { kind, name, sectionName }: TargetRef): string {
  const object = describeReference({ kind, namespace, name });
  return kind === 'Service' || sectionName === undefined ? object : `${object} ${sectionName}`;
}

/** Why a policy cannot hold for `what`: another of its kind, which is older, already does. */
export function conflictWith(
  owner: Policy | undefined,
  policy: Policy,
  what: string,
  report: Report,
): Verdict | undefined {
  if (!owner || owner === policy) return undefined;
  const message = `${what} already has ${describeObject(owner)}`;
  report('MW1302', policy, { message, hint: `keep one ${policy.kind} for it` });
  return { holds: false, reason: 'Conflicted', message };
}

function notFound(policy: Policy, index: number, message: string, hint: string, report: Report): Verdict {
  report('MW1301', policy, { path: `spec.targetRefs[${index}]`, message, hint });
  return { holds: false, reason: 'TargetNotFound', message };
}
