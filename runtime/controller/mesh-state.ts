import { type Finding, finding, type Resource } from '../model/index.ts';
import type { Manifest } from '../resources/index.ts';
import { type ObjectStatus, translate } from '../translate/index.ts';

/** What the controller knows of the mesh. */
export interface MeshState {
  /** Of the last manifests that could be used. */
  readonly resources: readonly Resource[];
  readonly statuses: readonly ObjectStatus[];
  /** Of the newest manifests. */
  readonly findings: readonly Finding[];
  readonly trustDomain: string;
}

/** The state after the first manifests were read. */
export function firstState(manifest: Manifest): MeshState {
  const { findings, ...rest } = translate(manifest.objects);
  return { ...rest, findings: [...manifest.findings, ...findings] };
}

/** The state after the manifests changed. What cannot be used leaves the resources as they were. */
export function nextState(before: MeshState, manifest: Manifest): MeshState {
  const keep = (reason: Finding): MeshState => ({ ...before, findings: [...manifest.findings, reason] });
  let next: MeshState;
  try {
    next = firstState(manifest);
  } catch (error) {
    return keep(
      finding('MW1006', {
        message: error instanceof Error ? error.message : String(error),
        hint: 'this is a fault of the controller: please report it; the proxies go on with what they had',
      }),
    );
  }
  if (next.trustDomain === before.trustDomain) return next;
  return keep(
    finding('MW1601', {
      message: `the trust domain is now ${next.trustDomain}, but all certificates are of ${before.trustDomain}`,
      hint: 'restart the mesh; until then its last configuration goes on',
    }),
  );
}
