import { parseAllDocuments } from 'yaml';
import type { Monitor } from './monitor.ts';

export interface KubernetesObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly annotations?: Record<string, string> };
}

/** The objects of a manifest, in an order of their own. */
export function parseObjects(yaml: string): KubernetesObject[] {
  return sorted(parseAllDocuments(yaml).map((document) => document.toJS() as KubernetesObject));
}

/** The objects Pulumi was told of, without what tells it how long to wait. */
export function registeredObjects(monitor: Monitor): KubernetesObject[] {
  const objects = structuredClone(monitor.objects.map(({ inputs }) => inputs as unknown as KubernetesObject));
  for (const { metadata } of objects) delete metadata.annotations?.['pulumi.com/waitFor'];
  return sorted(objects);
}

function sorted(objects: readonly KubernetesObject[]): KubernetesObject[] {
  const keyOf = ({ kind, metadata }: KubernetesObject) => `${kind} ${metadata.name}`;
  return objects.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}
