import { type Finding, finding, type Resource } from '../model/index.ts';
import {
  apiVersions,
  controlPlane,
  type Kind,
  type KubernetesObject,
  type Manifest,
  type ObjectOfKind,
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
 * @param trustDomain - of the mesh where no Mesh object names one. @default - `cluster.local`
 */
export function firstState(manifest: Manifest, translator: Translator, trustDomain?: string): MeshState {
  return stateOf(manifest, translator, trustDomain);
}

/**
 * The state after the manifests changed. What cannot be used leaves the resources as they were.
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
  let next: MeshState;
  try {
    // Where its Mesh object is gone, the mesh still is of its trust domain.
    next = stateOf(manifest, translator, before.trustDomain);
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

export function findingsOf({ findings }: MeshState): readonly Finding[] {
  return [...findings.reading, ...findings.meaning];
}

function stateOf({ objects, findings: reading }: Manifest, translator: Translator, trustDomain?: string): MeshState {
  const unnamed = trustDomain !== undefined && !objects.some(({ kind }) => kind === 'Mesh');
  const { findings: meaning, ...rest } = translator.update(unnamed ? [...objects, meshOf(trustDomain)] : objects);
  return { objects, ...rest, findings: { reading, meaning } };
}

/** Stands in for the Mesh object that nobody wrote. */
function meshOf(trustDomain: string): ObjectOfKind<'Mesh'> {
  const metadata = { name: 'default', namespace: controlPlane.namespace };
  return { apiVersion: apiVersions.meshwright, kind: 'Mesh', metadata, spec: { trustDomain } };
}
