import { type AccessPolicy, type QualifiedName, qualifiedName, type RateLimitPolicy } from '../model/index.ts';
import { labels, namespaceOf, type PodObject, wantsProxy } from '../resources/index.ts';
import { valueAt } from './collections.ts';
import { compareText, type Inventory } from './inventory.ts';
import type { Report } from './report.ts';
import { indexSelectors } from './selector-index.ts';
import { hasSelector, type ServiceEntries, type ServiceEntry, type ServicePortEntry } from './services.ts';
import { type FindPod, podFinder, podOf, serviceOf } from './slices.ts';
import {
  controllersOf,
  isFinished,
  nameOfController,
  nameOfPod,
  seedOfController,
  seedOfPods,
  type WorkloadSeed,
} from './workload-seeds.ts';

/** A workload while it is being translated. */
export interface WorkloadEntry extends WorkloadSeed {
  /** The Services that select it, or that were led to it by hand. */
  readonly services: readonly ServiceEntry[];
  readonly access: AccessPolicy[];
  readonly rateLimits: RateLimitPolicy[];
}

export interface Workloads {
  readonly entries: readonly WorkloadEntry[];
  /** The workloads behind a Service. */
  of(service: ServiceEntry): readonly WorkloadEntry[];
  /** What pods of one name, oldest first, make together where nothing else is known of them. */
  ofPods(pods: readonly PodObject[]): WorkloadEntry;
  /** Finds the Pod that an endpoint is. */
  readonly findPod: FindPod;
  /** The workload a Pod belongs to. */
  nameOfPod(pod: PodObject): QualifiedName;
  /** Whether a Pod has a proxy beside it: whoever gave it one has labelled it, or it serves a Gateway of ours. */
  hasProxy(pod: PodObject): boolean;
  /** Whether connections to a Pod are redirected to its proxy. Those to a gateway are not: it listens in plain text. */
  hasSidecar(pod: PodObject): boolean;
}

/**
 * Finds the workloads: those of controllers where these are known, which is so for manifests, else those that Pods
 * tell of, which is all that is known of a cluster.
 *
 * @param gateways - the Gateways of ours
 */
export function readWorkloads(
  inventory: Inventory,
  services: ServiceEntries,
  gateways: { has(name: QualifiedName): boolean },
  report: Report,
): Workloads {
  const controllers = controllersOf(inventory);
  const controllerOf = indexSelectors(
    controllers.map((value) => ({ namespace: namespaceOf(value.object), selector: value.selector, value })),
  );
  const nameOf = (pod: PodObject): QualifiedName => {
    const podLabels = pod.metadata.labels ?? {};
    const [controller] = podLabels[labels.workload] ? [] : controllerOf(namespaceOf(pod), podLabels);
    return controller ? nameOfController(controller) : nameOfPod(pod);
  };
  const isGateway = (pod: PodObject): boolean => {
    const gateway = pod.metadata.labels?.[labels.gatewayName];
    return gateway !== undefined && gateways.has(qualifiedName(namespaceOf(pod), gateway));
  };
  const isLabelled = ({ metadata }: PodObject): boolean => metadata.labels?.[labels.proxy] !== undefined;
  const hasProxy = (pod: PodObject): boolean => isLabelled(pod) || isGateway(pod);
  const hasSidecar = (pod: PodObject): boolean => isLabelled(pod) && !isGateway(pod);

  const seeds = new Map<QualifiedName, WorkloadSeed>();
  for (const controller of controllers) {
    const name = nameOfController(controller);
    const other = seeds.get(name);
    if (other) {
      report('MW1102', controller.object, {
        message: `${other.place.kind} ${other.place.metadata.name} already gives a workload the name ${name}`,
        hint: `give one of the pod templates its own label ${labels.workload}`,
      });
      continue;
    }
    const namespaceLabels = inventory.namespaceLabels(namespaceOf(controller.object));
    seeds.set(
      name,
      seedOfController(controller, wantsProxy(controller.template.metadata?.labels ?? {}, namespaceLabels)),
    );
  }
  const pods = new Map<QualifiedName, PodObject[]>();
  for (const pod of inventory.all('Pod')) if (!isFinished(pod)) valueAt(pods, nameOf(pod), () => []).push(pod);
  for (const [name, ofName] of pods) if (!seeds.has(name)) seeds.set(name, seedOfPods(ofName, hasProxy));

  const findPod = podFinder(
    (namespace, name) => inventory.find('Pod', namespace, name),
    () => inventory.all('Pod'),
    hasSidecar,
  );
  const toEntry = selectedBy(services, servicesByHand(inventory, services, findPod, nameOf));
  const entries = [...seeds.values()].sort((a, b) => compareText(a.name, b.name)).map(toEntry);
  const selected = new Map<ServiceEntry, WorkloadEntry[]>();
  for (const entry of entries) for (const service of entry.services) valueAt(selected, service, () => []).push(entry);
  return {
    entries,
    of: (service) => selected.get(service) ?? [],
    ofPods: (ofName) => toEntry(seedOfPods(ofName, hasProxy)),
    nameOfPod: nameOf,
    findPod,
    hasProxy,
    hasSidecar,
  };
}

/**
 * By workload, the Services without selector whose endpoints somebody wrote, and which lead to it: they say what its
 * ports speak as others do. Only those of its own namespace, whose policies hold for it.
 */
function servicesByHand(
  inventory: Inventory,
  services: ServiceEntries,
  findPod: FindPod,
  nameOf: (pod: PodObject) => QualifiedName,
): ReadonlyMap<QualifiedName, ReadonlySet<ServiceEntry>> {
  const found = new Map<QualifiedName, Set<ServiceEntry>>();
  for (const slice of inventory.all('EndpointSlice')) {
    const service = services.get(serviceOf(slice) ?? '');
    if (!service || hasSelector(service)) continue;
    for (const endpoint of slice.endpoints ?? []) {
      const pod = podOf(endpoint, slice, findPod);
      if (pod && namespaceOf(pod) === service.namespace) valueAt(found, nameOf(pod), () => new Set()).add(service);
    }
  }
  return found;
}

function selectedBy(
  services: ServiceEntries,
  byHand: ReadonlyMap<QualifiedName, ReadonlySet<ServiceEntry>>,
): (seed: WorkloadSeed) => WorkloadEntry {
  const entries = [...services.values()];
  const servicesOf = indexSelectors(
    entries.map((value) => ({ namespace: value.namespace, selector: value.object.spec.selector ?? {}, value })),
  );
  const position = new Map(entries.map((service, index) => [service, index]));
  return (seed) => {
    const found = new Set(seed.labelSets.flatMap((own) => servicesOf(seed.namespace, own)));
    for (const service of byHand.get(seed.name) ?? []) found.add(service);
    const inOrder = [...found].sort((a, b) => position.get(a)! - position.get(b)!);
    return { ...seed, services: inOrder, access: [], rateLimits: [] };
  };
}

/**
 * The container ports a Service's port leads to: several where pods differ, none where it names one that the workload
 * does not have.
 */
export function targetPortsOf(
  { targetPort, portsByHand }: ServicePortEntry,
  { ports }: WorkloadEntry,
): readonly number[] {
  if (portsByHand) return portsByHand;
  if (typeof targetPort === 'number') return [targetPort];
  return [...new Set(ports.flatMap(({ name, containerPort }) => (name === targetPort ? [containerPort] : [])))];
}
