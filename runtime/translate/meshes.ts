import type { MtlsMode } from '../model/index.ts';
import { defaultTrustDomain, describeObject } from '../resources/index.ts';
import type { Inventory } from './inventory.ts';
import type { Report } from './report.ts';
import { accepted, condition, type ObjectStatus, referenceTo } from './status.ts';

/** What holds for the whole mesh. */
export interface MeshSettings {
  readonly trustDomain: string;
  readonly mtls: MtlsMode;
}

/** Reads the Mesh object; the oldest where there are more, the defaults where there is none. */
export function translateMesh(inventory: Inventory, report: Report, statuses: ObjectStatus[]): MeshSettings {
  const [mesh, ...others] = inventory.all('Mesh');
  if (!mesh) return { trustDomain: defaultTrustDomain, mtls: 'strict' };
  statuses.push({ object: referenceTo(mesh), conditions: [condition(mesh, 'Accepted', accepted)] });
  for (const other of others) {
    const message = `${describeObject(mesh)} is the Mesh object that counts`;
    report('MW1101', other, { message, hint: 'keep one Mesh object' });
    statuses.push({
      object: referenceTo(other),
      conditions: [condition(other, 'Accepted', { holds: false, reason: 'Conflicted', message })],
    });
  }
  return { trustDomain: mesh.spec.trustDomain, mtls: mesh.spec.mtls === 'Permissive' ? 'permissive' : 'strict' };
}
