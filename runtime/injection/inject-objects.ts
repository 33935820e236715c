import { type Injection, injectPod } from './inject-pod.ts';
import type { RawPod } from './pod-view.ts';
import type { InjectionSettings } from './settings.ts';

/** What became of one object that has pods. */
export interface ObjectInjection {
  /** `Deployment shop/reviews`. */
  readonly place: string;
  readonly injection: Injection;
}

type Raw = Readonly<Record<string, unknown>>;

const groupOfKind: Readonly<Record<string, { readonly group: string; readonly template: readonly string[] }>> = {
  Pod: { group: '', template: [] },
  ReplicationController: { group: '', template: ['spec', 'template'] },
  Deployment: { group: 'apps', template: ['spec', 'template'] },
  ReplicaSet: { group: 'apps', template: ['spec', 'template'] },
  StatefulSet: { group: 'apps', template: ['spec', 'template'] },
  DaemonSet: { group: 'apps', template: ['spec', 'template'] },
  Job: { group: 'batch', template: ['spec', 'template'] },
  CronJob: { group: 'batch', template: ['spec', 'jobTemplate', 'spec', 'template'] },
};

/** Kinds whose pods get proxies. */
export const injectedKinds: readonly string[] = Object.keys(groupOfKind);

/**
 * Puts proxies beside the pods of an object, or of each object of a List, unless their labels refuse.
 *
 * @returns the same object (`===`) where nothing changes
 */
export function injectObjects(
  value: unknown,
  settings: InjectionSettings,
): { readonly value: unknown; readonly objects: readonly ObjectInjection[] } {
  if (!isRecord(value)) return { value, objects: [] };
  const { kind, apiVersion, items } = value;
  if (typeof kind !== 'string' || typeof apiVersion !== 'string') return { value, objects: [] };
  if (kind.endsWith('List') && Array.isArray(items)) {
    const results = items.map((item) => injectObjects(item, settings));
    const changed = results.some((result, index) => result.value !== items[index]);
    return {
      value: changed ? { ...value, items: results.map((result) => result.value) } : value,
      objects: results.flatMap(({ objects }) => objects),
    };
  }
  const known = Object.hasOwn(groupOfKind, kind) ? groupOfKind[kind] : undefined;
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return known?.group === group ? injectObject(value, known.template, settings) : { value, objects: [] };
}

function injectObject(object: Raw, path: readonly string[], settings: InjectionSettings) {
  const metadata = isRecord(object.metadata) ? object.metadata : {};
  const { name, namespace } = metadata as { name?: unknown; namespace?: unknown };
  const place = `${object.kind} ${typeof namespace === 'string' ? `${namespace}/` : ''}${name ?? ''}`;
  const template = path.reduce<unknown>((at, key) => (isRecord(at) ? at[key] : undefined), object);
  const injection = injectPod((isRecord(template) ? template : {}) as RawPod, {
    settings,
    explicit: true,
    place,
    ...(typeof namespace === 'string' && { namespace }),
    ...(path.length > 0 && { workload: String(name ?? '') }),
  });
  const value = injection.kind === 'injected' ? withTemplate(object, path, injection.pod) : object;
  return { value, objects: [{ place, injection }] };
}

function withTemplate(object: Raw, [key, ...path]: readonly string[], template: RawPod): Raw {
  return key === undefined ? template : { ...object, [key]: withTemplate(object[key] as Raw, path, template) };
}

function isRecord(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
