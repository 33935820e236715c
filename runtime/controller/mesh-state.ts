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

/** The state after the first manifests were read. */
export function firstState(manifest: Manifest, translator: Translator): MeshState {
  return stateOf(manifest, translator);
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
    next = stateOf(manifest, translator);
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

function stateOf({ objects, findings: reading }: Manifest, translator: Translator): MeshState {
  const { findings: meaning, ...rest } = translator.update(objects);
  return { objects, ...rest, findings: { reading, meaning } };
}
