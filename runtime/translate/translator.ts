import { isDeepStrictEqual } from 'node:util';
import type { Endpoints, QualifiedName } from '../model/index.ts';
import { type EndpointSliceObject, type KubernetesObject, namespaceOf, type PodObject } from '../resources/index.ts';
import { valueAt } from './collections.ts';
import { endpointsOf } from './endpoints.ts';
import { byAge } from './inventory.ts';
import { hasSelector } from './services.ts';
import { addressesOf, podFinder, serviceOf } from './slices.ts';
import { type Compilation, compile, type Translation } from './translate.ts';
import { isFinished } from './workload-seeds.ts';
import type { WorkloadEntry, Workloads } from './workloads.ts';

/** Translates a mesh that changes. */
export interface Translator {
  /**
   * What `translate` gives for these objects. Where pods and their addresses change but nothing that they are part of
   * does, only the endpoints of their Services are made anew; where anything else changes, all of it is. Resources,
   * findings and statuses that are equal to those of the call before are the same objects (`===`).
   *
   * @param trustDomain - of the certificates that there are, whatever Mesh objects say
   */
  update(objects: readonly KubernetesObject[], trustDomain?: string): Translation;
}

/** What the last call was given, and has found. */
interface State {
  readonly objects: Objects;
  readonly compilation: Compilation;
}

interface Objects {
  readonly all: ReadonlySet<KubernetesObject>;
  /** Absent where some were written twice. */
  readonly byKey: ReadonlyMap<string, KubernetesObject> | undefined;
}

export function createTranslator(): Translator {
  let state: State | undefined;
  return {
    update(list, trustDomain) {
      const isKnown = trustDomain === undefined || trustDomain === state?.compilation.mesh.trustDomain;
      const changes = isKnown && state && changesBetween(state.objects, new Set(list), list.length);
      const translation = state && changes && bringUpToDate(state.compilation, changes);
      if (state && changes && translation) {
        state = { objects: changes.objects, compilation: { ...state.compilation, translation } };
        return translation;
      }
      const compilation = compile(list, trustDomain);
      const reused = state ? reuse(state.compilation.translation, compilation.translation) : compilation.translation;
      state = { objects: index(list), compilation: { ...compilation, translation: reused } };
      return reused;
    },
  };
}

function index(list: readonly KubernetesObject[]): Objects {
  const byKey = new Map(list.map((object) => [keyOf(object), object]));
  return { all: new Set(list), byKey: byKey.size === list.length ? byKey : undefined };
}

function keyOf(object: KubernetesObject): string {
  return `${object.kind} ${namespaceOf(object)}/${object.metadata.name}`;
}

/** Pods and their addresses that differ, as they were and as they are. */
interface Changes {
  readonly objects: Objects & { readonly byKey: ReadonlyMap<string, KubernetesObject> };
  readonly pods: readonly PodObject[];
  readonly slices: readonly EndpointSliceObject[];
}

/** `undefined` where something else than pods and their addresses differs. */
function changesBetween(before: Objects, all: ReadonlySet<KubernetesObject>, count: number): Changes | undefined {
  if (!before.byKey || all.size !== count) return undefined;
  const came = [...all].filter((object) => !before.all.has(object));
  const went = [...before.all].filter((object) => !all.has(object));
  if (came.length + went.length === 0) return { objects: { all, byKey: before.byKey }, pods: [], slices: [] };
  const byKey = new Map(before.byKey);
  for (const object of went) byKey.delete(keyOf(object));
  for (const object of came) byKey.set(keyOf(object), object);
  if (byKey.size !== count) return undefined;
  const differ = went.filter((object) => !byKey.has(keyOf(object)));
  for (const object of came) {
    const old = before.byKey.get(keyOf(object));
    if (old && isDeepStrictEqual(readOf(old), readOf(object))) continue;
    differ.push(object, ...(old ? [old] : []));
  }
  const pods = differ.filter((object) => object.kind === 'Pod');
  const slices = differ.filter((object) => object.kind === 'EndpointSlice');
  return pods.length + slices.length === differ.length ? { objects: { all, byKey }, pods, slices } : undefined;
}

/** What translation reads of an object: not what we, or a kubelet, say of it. */
function readOf(object: KubernetesObject): unknown {
  if (object.kind === 'Pod') return { ...object, status: [object.status?.phase, ...addressesOf(object)] };
  return 'status' in object ? { ...object, status: undefined } : object;
}

/** `undefined` where more than endpoints may differ. */
function bringUpToDate(
  { translation, services, workloads, mesh }: Compilation,
  changes: Changes,
): Translation | undefined {
  if (changes.pods.length + changes.slices.length === 0) return translation;
  const { byKey, all: objects } = changes.objects;
  if (changes.pods.length > 0 && !workloadsStay(workloads, objects, changes.pods)) return undefined;
  const findPod = podFinder(
    (namespace, name) => byKey.get(`Pod ${namespace}/${name}`) as PodObject | undefined,
    () => [...objects].filter((object) => object.kind === 'Pod'),
    workloads.hasSidecar,
  );
  const pods = { names: new Set(changes.pods.map(keyOf)), addresses: new Set(changes.pods.flatMap(addressesOf)) };
  const affected = new Set(changes.slices.map(serviceOf));
  const slices = new Map<QualifiedName, EndpointSliceObject[]>();
  for (const object of objects) {
    const service = object.kind === 'EndpointSlice' ? serviceOf(object) : undefined;
    if (service === undefined || object.kind !== 'EndpointSlice') continue;
    valueAt(slices, service, () => []).push(object);
    if (changes.pods.length > 0 && !affected.has(service) && refersTo(object, pods)) affected.add(service);
  }

  const fresh = new Map<QualifiedName, Endpoints>();
  for (const name of affected) {
    const service = name === undefined ? undefined : services.get(name);
    if (!service) continue;
    // Whether to warn of a Service without pods is told by its slices; which workloads it is of, where it has no selector.
    if (!hasSelector(service) || workloads.of(service).length === 0) return undefined;
    const own = (slices.get(service.name) ?? []).sort(byAge);
    fresh.set(service.name, endpointsOf(service, own, { ...workloads, findPod }, mesh));
  }
  return withEndpoints(translation, fresh);
}

/** Whether an endpoint of a slice is one of these pods, by its name, or where it tells none by its address. */
function refersTo(
  { endpoints, metadata }: EndpointSliceObject,
  pods: { readonly names: ReadonlySet<string>; readonly addresses: ReadonlySet<string> },
): boolean {
  return (endpoints ?? []).some(({ targetRef, addresses }) => {
    if (targetRef?.kind !== 'Pod') return pods.addresses.has(addresses[0]);
    return pods.names.has(`Pod ${targetRef.namespace ?? metadata.namespace ?? 'default'}/${targetRef.name}`);
  });
}

/** Whether the workloads of pods that changed, came or went are what they were. */
function workloadsStay(
  workloads: Workloads,
  objects: Iterable<KubernetesObject>,
  changed: readonly PodObject[],
): boolean {
  const pods = new Map<QualifiedName, PodObject[]>(changed.map((pod) => [workloads.nameOfPod(pod), []]));
  for (const object of objects) {
    if (object.kind === 'Pod' && !isFinished(object)) pods.get(workloads.nameOfPod(object))?.push(object);
  }
  const entries = new Map(workloads.entries.map((entry) => [entry.name, entry]));
  for (const [name, ofName] of pods) {
    const before = entries.get(name);
    // What a controller object says of its pods counts, not what they say.
    if (before && before.place.kind !== 'Pod') continue;
    const after = ofName.length > 0 ? workloads.ofPods(ofName.sort(byAge)) : undefined;
    if (before && after ? !isSame(before, after) : before !== after) return false;
  }
  return true;
}

function isSame(before: WorkloadEntry, after: WorkloadEntry): boolean {
  const { services, ...seed } = comparable(before);
  const { services: servicesAfter, ...seedAfter } = comparable(after);
  return (
    services.length === servicesAfter.length &&
    services.every((service, index) => service === servicesAfter[index]) &&
    isDeepStrictEqual(seed, seedAfter)
  );
}

/** Without what its Services stand for, and what was attached to it. */
function comparable({ labelSets: _, access: __, rateLimits: ___, ...entry }: WorkloadEntry) {
  return entry;
}

function withEndpoints(translation: Translation, fresh: ReadonlyMap<QualifiedName, Endpoints>): Translation {
  let changed = false;
  const resources = translation.resources.map((resource) => {
    const next = resource.kind === 'endpoints' ? fresh.get(resource.name) : undefined;
    if (!next || isDeepStrictEqual(resource, next)) return resource;
    changed = true;
    return next;
  });
  return changed ? { ...translation, resources } : translation;
}

/** What is equal to something of the translation before becomes that. */
function reuse(before: Translation, after: Translation): Translation {
  const nameOf = ({ kind, name }: Translation['resources'][number]) => `${kind} ${name}`;
  const targetOf = ({ object }: Translation['statuses'][number]) => `${object.kind} ${object.namespace}/${object.name}`;
  return {
    resources: reuseItems(before.resources, after.resources, nameOf),
    findings: isDeepStrictEqual(before.findings, after.findings) ? before.findings : after.findings,
    statuses: reuseItems(before.statuses, after.statuses, targetOf),
    trustDomain: after.trustDomain,
  };
}

function reuseItems<T>(before: readonly T[], after: readonly T[], keyOf: (item: T) => string): readonly T[] {
  const known = new Map(before.map((item) => [keyOf(item), item]));
  const items = after.map((item) => {
    const old = known.get(keyOf(item));
    return old !== undefined && isDeepStrictEqual(old, item) ? old : item;
  });
  return items.length === before.length && items.every((item, index) => item === before[index]) ? before : items;
}
