import { qualifiedName } from '../model/index.ts';
import {
  type AccessPolicyObject,
  type CircuitBreakerPolicyObject,
  type FaultPolicyObject,
  type LoadBalancingPolicyObject,
  type MtlsPolicyObject,
  namespaceOf,
  type OutlierDetectionPolicyObject,
  type RateLimitPolicyObject,
  type RetryPolicyObject,
} from '../resources/index.ts';
import type { Report } from './report.ts';
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
  | RetryPolicyObject;

/** The Services a policy is attached to; `verdict` says which one is missing. */
export function resolveTargets(
  policy: Exclude<Policy, MtlsPolicyObject | CircuitBreakerPolicyObject | RetryPolicyObject>,
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
  { name: service, sectionName }: { readonly name: string; readonly sectionName?: string },
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
  report('MW1301', policy, { path: `spec.targetRefs[${index}]`, message, hint });
  return { verdict: { holds: false, reason: 'TargetNotFound', message } };
}
