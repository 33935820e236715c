import { describeReference, type Finding, finding, type Resource } from '../model/index.ts';
import {
  apiVersions,
  controlPlane,
  describeObject,
  type Kind,
  type KubernetesObject,
  type Manifest,
} from '../resources/index.ts';
import type { ObjectStatus, Translator } from '../translate/index.ts';

/** What the controller knows of the mesh. */
export interface MeshState {
  /** Of the newest manifests. */
  readonly objects: readonly KubernetesObject[];
  /** Of the last manifests that could be used. */
  readonly resources: readonly Resource[];
  readonly statuses: readonly ObjectStatus[];
  readonly findings: {
    /** What is wrong with the manifests themselves. */
    readonly reading: readonly Finding[];
    /** What is wrong with what they say. */
    readonly meaning: readonly Finding[];
  };
  readonly trustDomain: string;
}

/**
 * The state after the first manifests were read.
 *
 * @param trustDomain - of the certificates that there are, whatever Mesh objects say
 */
export function firstState(manifest: Manifest, translator: Translator, trustDomain?: string): MeshState {
  const { objects, findings: reading } = manifest;
  const { objects: pinned, findings } = pinTrustDomain(objects, trustDomain);
  const { findings: meaning, statuses, ...rest } = translator.update(pinned);
  return {
    objects,
    ...rest,
    statuses: findings.length > 0 ? statuses.map((status) => refuse(status, findings)) : statuses,
    findings: { reading, meaning: [...findings, ...meaning] },
  };
}

/**
 * The state after the manifests changed. What cannot be translated leaves the resources as they were.
 *
 * @param changed - the kinds of what changed, where that is known; where nothing did, only what is wrong with the
 *   manifests is new
 */
export function nextState(
  before: MeshState,
  manifest: Manifest,
  translator: Translator,
  changed?: ReadonlySet<Kind>,
): MeshState {
  const { objects, findings: reading } = manifest;
  const keep = (...meaning: readonly Finding[]): MeshState => ({ ...before, objects, findings: { reading, meaning } });
  if (changed?.size === 0) return keep(...before.findings.meaning);
  try {
    return firstState(manifest, translator, before.trustDomain);
  } catch (error) {
    return keep(
      finding('MW1006', {
        message: error instanceof Error ? error.message : String(error),
        hint: 'this is a fault of the controller: please report it; the proxies go on with what they had',
      }),
    );
  }
}

export function findingsOf({ findings }: MeshState): readonly Finding[] {
  return [...findings.reading, ...findings.meaning];
}

/** Has Mesh objects name a trust domain, and tells which of them named another one. */
function pinTrustDomain(objects: readonly KubernetesObject[], trustDomain: string | undefined): Manifest {
  if (trustDomain === undefined) return { objects, findings: [] };
  const findings: Finding[] = [];
  const pinned = objects.map((object) => {
    if (object.kind !== 'Mesh' || object.spec.trustDomain === trustDomain) return object;
    findings.push(
      finding('MW1601', {
        message: `it names the trust domain ${object.spec.trustDomain}, but all certificates are of ${trustDomain}`,
        hint: `name ${trustDomain}; or restart \`meshwright up\`, and see docs/install.md for how to begin anew in a cluster`,
        object: describeObject(object),
      }),
    );
    return { ...object, spec: { ...object.spec, trustDomain } };
  });
  if (pinned.some(({ kind }) => kind === 'Mesh')) return { objects: pinned, findings };
  // Where its Mesh object is gone, the mesh still is of its trust domain.
  const metadata = { name: 'default', namespace: controlPlane.namespace };
  const standIn = { apiVersion: apiVersions.meshwright, kind: 'Mesh' as const, metadata, spec: { trustDomain } };
  return { objects: [...pinned, standIn], findings };
}

/** Says on an object what is wrong with it. */
function refuse(status: ObjectStatus, findings: readonly Finding[]): ObjectStatus {
  const wrong = findings.find(({ object }) => object === describeReference(status.object));
  if (!wrong) return status;
  const conditions = status.conditions?.map((each) =>
    each.type === 'Accepted' ? { ...each, status: 'False' as const, reason: 'Invalid', message: wrong.message } : each,
  );
  return { ...status, conditions };
}
