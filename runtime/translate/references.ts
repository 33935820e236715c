import { type KubernetesObject, namespaceOf } from '../resources/index.ts';

interface Reference {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
}

/** Backend references mean a Service unless they say otherwise. */
export function isServiceRef(ref: Reference): boolean {
  return (ref.group ?? '') === '' && (ref.kind ?? 'Service') === 'Service';
}

/** A reference without namespace stays in the namespace of the object that holds it. */
export function namespaceOfRef(ref: Reference, holder: KubernetesObject): string {
  return ref.namespace ?? namespaceOf(holder);
}
