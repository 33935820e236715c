import { type AccessPolicy, type QualifiedName, qualifiedName, type RateLimitPolicy } from '../model/index.ts';
import { labels, namespaceOf, type PodObject, wantsProxy } from '../resources/index.ts';
import { valueAt } from './collections.ts';
import { compareText, type Inventory } from './inventory.ts';
import type { Report } from './report.ts';
import { indexSelectors } from './selector-index.ts';
import type { ServiceEntries, ServiceEntry, ServicePortEntry } from './services.ts';
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
  /** The Services that select it. */
  readonly services: readonly ServiceEntry[];
  readonly access: AccessPolicy[];
  readonly rateLimits: RateLimitPolicy[];
}

export interface Workloads {
  readonly entries: readonly WorkloadEntry[];
  /** The workloads a Service selects. */
  of(service: ServiceEntry): readonly WorkloadEntry[];
  /** What pods of one name, oldest first, make together where nothing else is known of them. */
  ofPods(pods: readonly PodObject[]): WorkloadEntry;
  /** The workload a Pod belongs to. */
  nameOfPod(pod: PodObject): QualifiedName;
  /** Whether a Pod has a proxy beside it: whoever gave it one has labelled it, or it serves a Gateway of ours. */
  hasProxy(pod: PodObject): boolean;
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
  const hasProxy = ({ metadata }: PodObject): boolean => {
    const { [labels.proxy]: proxy, [labels.gatewayName]: gateway } = metadata.labels ?? {};
    return (
      proxy !== undefined ||
      (gateway !== undefined && gateways.has(qualifiedName(metadata.namespace ?? 'default', gateway)))
    );
  };

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

  const toEntry = selectedBy(services);
  const entries = [...seeds.values()].sort((a, b) => compareText(a.name, b.name)).map(toEntry);
  const selected = new Map<ServiceEntry, WorkloadEntry[]>();
  for (const entry of entries) for (const service of entry.services) valueAt(selected, service, () => []).push(entry);
  return {
    entries,
    of: (service) => selected.get(service) ?? [],
    ofPods: (ofName) => toEntry(seedOfPods(ofName, hasProxy)),
    nameOfPod: nameOf,
    hasProxy,
  };
}

function selectedBy(services: ServiceEntries): (seed: WorkloadSeed) => WorkloadEntry {
  const entries = [...services.values()];
  const servicesOf = indexSelectors(
    entries.map((value) => ({ namespace: value.namespace, selector: value.object.spec.selector ?? {}, value })),
  );
  const position = new Map(entries.map((service, index) => [service, index]));
  return (seed) => {
    const found = new Set(seed.labelSets.flatMap((own) => servicesOf(seed.namespace, own)));
    const inOrder = [...found].sort((a, b) => position.get(a)! - position.get(b)!);
    return { ...seed, services: inOrder, access: [], rateLimits: [] };
  };
}

/**
 * The container ports a Service's port leads to: several where pods differ, none where it names one that the workload
 * does not have.
 */
export function targetPortsOf({ targetPort }: ServicePortEntry, { ports }: WorkloadEntry): readonly number[] {
  if (typeof targetPort === 'number') return [targetPort];
  return [...new Set(ports.flatMap(({ name, containerPort }) => (name === targetPort ? [containerPort] : [])))];
}
