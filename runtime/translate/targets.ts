import { qualifiedName } from '../model/index.ts';
import {
  type AccessPolicyObject,
  type FaultPolicyObject,
  type LoadBalancingPolicyObject,
  namespaceOf,
  type RateLimitPolicyObject,
} from '../resources/index.ts';
import type { Report } from './report.ts';
import type { ServiceEntries, ServiceEntry, ServicePortEntry } from './services.ts';
import type { Verdict } from './status.ts';

export interface PolicyTarget {
  readonly service: ServiceEntry;
  readonly ports: readonly ServicePortEntry[];
}

/** The Services a policy is attached to; `verdict` says which one is missing. */
export function resolveTargets(
  policy: AccessPolicyObject | FaultPolicyObject | LoadBalancingPolicyObject | RateLimitPolicyObject,
  services: ServiceEntries,
  report: Report,
): { targets: PolicyTarget[]; verdict?: Verdict } {
  const targets: PolicyTarget[] = [];
  let verdict: Verdict | undefined;
  for (const [index, ref] of policy.spec.targetRefs.entries()) {
    const name = qualifiedName(namespaceOf(policy), ref.name);
    const service = services.get(name);
    const section = 'sectionName' in ref ? ref.sectionName : undefined;
    const ports = service?.ports.filter((port) => section === undefined || port.name === section) ?? [];
    if (service && (section === undefined || ports.length)) {
      targets.push({ service, ports });
      continue;
    }
    const { message, hint } = service
      ? {
          message: `Service ${name} has no port named ${section}`,
          hint: `its ports are ${service.ports.map((port) => port.name).join(', ')}`,
        }
      : services.absence(name);
    verdict ??= { holds: false, reason: 'TargetNotFound', message };
    report('MW1301', policy, { path: `spec.targetRefs[${index}]`, message, hint });
  }
  return { targets, verdict };
}
