import { type MtlsMode, qualifiedName } from '../model/index.ts';
import { describeObject, type MtlsPolicyObject, namespaceOf } from '../resources/index.ts';
import { warnOfNobody } from './enforcers.ts';
import type { Inventory } from './inventory.ts';
import type { MeshSettings } from './meshes.ts';
import type { Report } from './report.ts';
import type { ServiceEntries } from './services.ts';
import { accepted, type ObjectStatus, ownStatus, type Verdict } from './status.ts';
import { resolveTarget } from './targets.ts';
import { targetPortsOf, type WorkloadEntry, type Workloads } from './workloads.ts';

/** Whether workloads and their ports take plain text. */
export interface MtlsModes {
  ofWorkload(workload: WorkloadEntry): MtlsMode;
  /** `port` is the container's. */
  ofPort(workload: WorkloadEntry, port: number): MtlsMode;
}

/** Reads the MtlsPolicies: the most specific one wins, of equals the oldest, and the Mesh holds for the rest. */
export function readMtlsPolicies(
  inventory: Inventory,
  services: ServiceEntries,
  workloads: Workloads,
  mesh: MeshSettings,
  report: Report,
  statuses: ObjectStatus[],
): MtlsModes {
  const claims = new Map<string, MtlsPolicyObject>();
  for (const policy of inventory.all('MtlsPolicy')) {
    let verdict = accepted;
    let unresolved: Verdict | undefined;
    const refuse = (refused: Verdict) => {
      if (verdict.holds) verdict = refused;
    };
    for (const index of policy.spec.targetRefs.keys()) {
      const { keys, refusal } = claimed(policy, index, services, workloads, report);
      if (refusal) refuse(refusal);
      unresolved ??= refusal;
      const rival = keys.map((key) => claims.get(key)).find((owner) => owner && owner.spec.mode !== policy.spec.mode);
      if (rival) {
        const { kind, name } = policy.spec.targetRefs[index];
        const message = `${describeObject(rival)} already says ${rival.spec.mode} for what ${kind} ${name} leads to`;
        report('MW1302', policy, { path: `spec.targetRefs[${index}]`, message, hint: 'keep one of the two' });
        refuse({ holds: false, reason: 'Conflicted', message });
      }
      for (const key of keys) if (!claims.has(key)) claims.set(key, policy);
    }
    statuses.push(ownStatus(policy, verdict, unresolved));
  }
  const modeAt = (key: string): MtlsMode | undefined => {
    const mode = claims.get(key)?.spec.mode;
    return mode && (mode === 'Strict' ? 'strict' : 'permissive');
  };
  const ofWorkload = ({ namespace }: WorkloadEntry) => modeAt(namespaceKey(namespace)) ?? mesh.mtlsOf(namespace);
  return {
    ofWorkload,
    ofPort: (workload, port) =>
      modeAt(portKey(workload, port, 'port')) ?? modeAt(portKey(workload, port, 'Service')) ?? ofWorkload(workload),
  };
}

/** What one target of a policy is about, as keys that are equal for what two policies cannot both decide. */
function claimed(
  policy: MtlsPolicyObject,
  index: number,
  services: ServiceEntries,
  workloads: Workloads,
  report: Report,
): { readonly keys: readonly string[]; readonly refusal?: Verdict } {
  const ref = policy.spec.targetRefs[index];
  const namespace = namespaceOf(policy);
  if (ref.kind === 'Namespace') {
    if (ref.name === namespace) return { keys: [namespaceKey(namespace)] };
    const message = `it is in namespace ${namespace}, and a policy holds for its own namespace only, not for ${ref.name}`;
    report('MW1301', policy, { path: `spec.targetRefs[${index}]`, message, hint: `put it into namespace ${ref.name}` });
    return { keys: [], refusal: { holds: false, reason: 'TargetNotFound', message } };
  }
  const { target, verdict } = resolveTarget(policy, ref, index, services, report);
  if (!target) return { keys: [], refusal: verdict };
  warnOfNobody(policy, target.service, workloads, report);
  const level = ref.sectionName === undefined ? 'Service' : 'port';
  const keys = workloads
    .of(target.service)
    .flatMap((workload) =>
      target.ports.flatMap((port) => targetPortsOf(port, workload).map((number) => portKey(workload, number, level))),
    );
  const itself = `${qualifiedName(namespace, ref.name)} ${ref.sectionName ?? ''}`;
  return { keys: [itself, ...keys] };
}

function namespaceKey(namespace: string): string {
  return `namespace ${namespace}`;
}

function portKey({ name }: WorkloadEntry, port: number, level: 'port' | 'Service'): string {
  return `${level} of ${name}:${port}`;
}
