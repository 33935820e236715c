import {
  describeObject,
  type Kind,
  type KubernetesObject,
  namespaceOf,
  type ObjectOfKind,
} from '../resources/index.ts';
import { valueAt } from './collections.ts';
import type { Report } from './report.ts';

/** All objects, to be found by kind and name. */
export interface Inventory {
  /** In the order of {@link byAge}. */
  all<K extends Kind>(kind: K): readonly ObjectOfKind<K>[];
  find<K extends Kind>(kind: K, namespace: string, name: string): ObjectOfKind<K> | undefined;
  /** Whether something lives there besides pods and their addresses. */
  hasNamespace(name: string): boolean;
  /** Labels of a namespace, the one Kubernetes itself sets included. */
  namespaceLabels(name: string): Readonly<Record<string, string>>;
}

export function takeInventory(objects: readonly KubernetesObject[], report: Report): Inventory {
  const byKind = new Map<Kind, Map<string, KubernetesObject>>();
  const namespaces = new Set<string>();
  for (const object of [...objects].sort(byAge)) {
    const namespace = namespaceOf(object);
    if (object.kind === 'Namespace') namespaces.add(object.metadata.name);
    else if (object.kind !== 'Pod' && object.kind !== 'EndpointSlice') namespaces.add(namespace);
    const ofKind = valueAt(byKind, object.kind, () => new Map<string, KubernetesObject>());
    const key = `${namespace}/${object.metadata.name}`;
    if (ofKind.has(key)) {
      report('MW1004', object, {
        message: `${describeObject(object)} is written twice; the first one counts`,
        hint: 'rename or remove one of them',
      });
    } else ofKind.set(key, object);
  }
  const lists = new Map([...byKind].map(([kind, ofKind]) => [kind, [...ofKind.values()]]));
  const find = <K extends Kind>(kind: K, namespace: string, name: string) =>
    byKind.get(kind)?.get(`${namespace}/${name}`) as ObjectOfKind<K> | undefined;

  return {
    all: <K extends Kind>(kind: K) => (lists.get(kind) ?? []) as ObjectOfKind<K>[],
    find,
    hasNamespace: (name) => namespaces.has(name),
    namespaceLabels: (name) => ({
      ...find('Namespace', '', name)?.metadata.labels,
      'kubernetes.io/metadata.name': name,
    }),
  };
}

/** What is not created yet counts as the youngest. */
const notCreated = '9999';

/** Oldest first, then by namespace and name: the order in which Gateway API lets the first one win. */
export function byAge(a: KubernetesObject, b: KubernetesObject): number {
  return (
    compareText(a.metadata.creationTimestamp ?? notCreated, b.metadata.creationTimestamp ?? notCreated) ||
    compareText(namespaceOf(a), namespaceOf(b)) ||
    compareText(a.metadata.name, b.metadata.name) ||
    compareText(a.kind, b.kind)
  );
}

/** By code unit: the same everywhere, unlike `localeCompare`. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
