import { type MtlsMode, parseDuration, type StatedLimits, type StrangerSettings } from '../model/index.ts';
import { defaultTrustDomain, describeObject, type MeshObject, namespaceOf } from '../resources/index.ts';
import type { Inventory } from './inventory.ts';
import type { Report } from './report.ts';
import { accepted, type ObjectStatus, ownStatus, type Verdict } from './status.ts';

/** What Mesh objects say. */
export interface MeshSettings {
  /** One for all: each proxy must know the others. */
  readonly trustDomain: string;
  /** Of the Mesh of a namespace; strict where it has none. */
  mtlsOf(namespace: string): MtlsMode;
  /** Of the Mesh of a namespace; `undefined` where it states none. */
  limitsOf(namespace: string): StatedLimits | undefined;
  /** Of the Mesh of a namespace; `undefined` where it says nothing of them. */
  strangersOf(namespace: string): StrangerSettings | undefined;
}

/**
 * Reads the Mesh objects: the oldest of each namespace holds there.
 *
 * @param known - the trust domain of the certificates that there are; without it, the one the oldest Mesh names
 */
export function readMeshes(
  inventory: Inventory,
  known: string | undefined,
  report: Report,
  statuses: ObjectStatus[],
): MeshSettings {
  const meshes = inventory.all('Mesh');
  const named = meshes.find(({ spec }) => spec.trustDomain !== undefined)?.spec.trustDomain;
  const trustDomain = known ?? named ?? defaultTrustDomain;
  const byNamespace = new Map<string, MeshObject>();
  for (const mesh of meshes) {
    const verdict = judge(mesh, trustDomain, byNamespace.get(namespaceOf(mesh)), report);
    statuses.push(ownStatus(mesh, verdict));
    if (!byNamespace.has(namespaceOf(mesh))) byNamespace.set(namespaceOf(mesh), mesh);
  }
  return {
    trustDomain,
    mtlsOf: (namespace) => (byNamespace.get(namespace)?.spec.mtls === 'Permissive' ? 'permissive' : 'strict'),
    limitsOf: (namespace) => readLimits(byNamespace.get(namespace)?.spec.limits),
    strangersOf: (namespace) => readStrangers(byNamespace.get(namespace)?.spec.strangers),
  };
}

function readStrangers({
  trustedProxies = [],
  underscores,
}: MeshObject['spec']['strangers'] = {}): StrangerSettings | undefined {
  const settings: StrangerSettings = {
    ...(trustedProxies.length > 0 && { trustedProxies }),
    ...(underscores === 'Keep' && { underscores: 'keep' }),
  };
  return Object.keys(settings).length > 0 ? settings : undefined;
}

function readLimits(stated: MeshObject['spec']['limits'] = {}): StatedLimits | undefined {
  const entries = Object.entries(stated);
  if (entries.length === 0) return undefined;
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === 'string' ? parseDuration(value) : value]),
  );
}

function judge(mesh: MeshObject, trustDomain: string, older: MeshObject | undefined, report: Report): Verdict {
  if (older) {
    const message = `${describeObject(older)} is the Mesh object that counts in this namespace`;
    report('MW1101', mesh, { message, hint: 'keep one Mesh object in a namespace' });
    return { holds: false, reason: 'Conflicted', message };
  }
  if ((mesh.spec.trustDomain ?? trustDomain) === trustDomain) return accepted;
  const message = `it names the trust domain ${mesh.spec.trustDomain}, but all certificates are of ${trustDomain}`;
  report('MW1601', mesh, {
    path: 'spec.trustDomain',
    message,
    hint: 'leave it out; docs/install.md tells how to choose the trust domain of a cluster',
  });
  return { holds: false, reason: 'Invalid', message };
}
