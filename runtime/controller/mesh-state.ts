import { type Finding, finding, type Resource } from '../model/index.ts';
import type { Kind, KubernetesObject, Manifest } from '../resources/index.ts';
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
  const { findings: meaning, ...translation } = translator.update(objects, trustDomain);
  return { objects, ...translation, findings: { reading, meaning } };
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
