import {
  type AccessPolicy,
  type InboundPort,
  type QualifiedName,
  qualifiedName,
  type RateLimitPolicy,
  type Workload,
} from '../model/index.ts';
import {
  annotations,
  type KubernetesObject,
  labels,
  namespaceOf,
  type PodObject,
  type PodTemplate,
  wantsProxy,
  workloadName,
} from '../resources/index.ts';
import { valueAt } from './collections.ts';
import { compareText, type Inventory } from './inventory.ts';
import type { MeshSettings } from './meshes.ts';
import type { Report } from './report.ts';
import { indexSelectors } from './selector-index.ts';
import type { ServiceEntries, ServiceEntry, ServicePortEntry } from './services.ts';

/** A workload while it is being translated. */
export interface WorkloadEntry {
  /** The controller object, or the bare Pod. */
  readonly object: KubernetesObject;
  readonly name: QualifiedName;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: PodTemplate['spec'];
  /** Whether a sidecar stands beside its pods. */
  readonly inMesh: boolean;
  /** The Services that select it. */
  readonly services: readonly ServiceEntry[];
  readonly access: AccessPolicy[];
  readonly rateLimits: RateLimitPolicy[];
}

export interface Workloads {
  readonly entries: readonly WorkloadEntry[];
  /** The workloads a Service selects. */
  of(service: ServiceEntry): readonly WorkloadEntry[];
  /** The workload a Pod belongs to. */
  nameOfPod(pod: PodObject): QualifiedName;
}

interface Template {
  readonly object: KubernetesObject;
  readonly template: PodTemplate;
  readonly selector: Readonly<Record<string, string>>;
}

export function readWorkloads(inventory: Inventory, services: ServiceEntries, report: Report): Workloads {
  const controllers = controllersOf(inventory);
  const serviceIndex = indexSelectors(
    [...services.values()].map((value) => ({
      namespace: value.namespace,
      selector: value.object.spec.selector ?? {},
      value,
    })),
  );
  const controllerIndex = indexSelectors(
    controllers.map((value) => ({ namespace: namespaceOf(value.object), selector: value.selector, value })),
  );
  const nameOfPod = (pod: PodObject): QualifiedName => {
    const namespace = namespaceOf(pod);
    const podLabels = pod.metadata.labels ?? {};
    const [controller] = podLabels[labels.workload] ? [] : controllerIndex(namespace, podLabels);
    return qualifiedName(namespace, controller ? nameOf(controller) : workloadName(pod));
  };

  const entries = new Map<QualifiedName, WorkloadEntry>();
  const add = (object: KubernetesObject, name: QualifiedName, template: PodTemplate, inMesh: boolean) => {
    const namespace = namespaceOf(object);
    const podLabels = template.metadata?.labels ?? {};
    entries.set(name, {
      object,
      name,
      namespace,
      labels: podLabels,
      annotations: template.metadata?.annotations ?? {},
      spec: template.spec,
      inMesh,
      services: serviceIndex(namespace, podLabels),
      access: [],
      rateLimits: [],
    });
  };
  for (const { object, template, selector } of controllers) {
    const name = qualifiedName(namespaceOf(object), nameOf({ object, template, selector }));
    const other = entries.get(name);
    if (!other) {
      const namespaceLabels = inventory.namespaceLabels(namespaceOf(object));
      add(object, name, template, wantsProxy(template.metadata?.labels ?? {}, namespaceLabels));
    } else {
      report('MW1102', object, {
        message: `${other.object.kind} ${other.object.metadata.name} already gives a workload the name ${name}`,
        hint: `give one of the pod templates its own label ${labels.workload}`,
      });
    }
  }
  for (const pod of inventory.all('Pod')) {
    if (pod.metadata.ownerReferences?.length) continue;
    const name = nameOfPod(pod);
    if (!entries.has(name)) add(pod, name, { metadata: pod.metadata, spec: pod.spec }, hasProxy(pod));
  }

  const sorted = [...entries.values()].sort((a, b) => compareText(a.name, b.name));
  const selected = new Map<ServiceEntry, WorkloadEntry[]>();
  for (const entry of sorted) for (const service of entry.services) valueAt(selected, service, () => []).push(entry);
  return { entries: sorted, of: (service) => selected.get(service) ?? [], nameOfPod };
}

/** Whether a Pod has a proxy beside it: whoever gave it one has labelled it, or it serves a Gateway. */
export function hasProxy({ metadata }: PodObject): boolean {
  const podLabels = metadata.labels ?? {};
  return labels.proxy in podLabels || labels.gatewayName in podLabels;
}

/** The container port a Service's port leads to; `undefined` where it names one the workload does not have. */
export function targetPortOf(port: ServicePortEntry, workload: WorkloadEntry): number | undefined {
  if (typeof port.targetPort === 'number') return port.targetPort;
  for (const container of workload.spec.containers) {
    for (const candidate of container.ports ?? []) {
      if (candidate.name === port.targetPort) return candidate.containerPort;
    }
  }
  return undefined;
}

/** `calls` are those of the gateway it serves, where it serves one. */
export function toWorkload(
  entry: WorkloadEntry,
  mesh: MeshSettings,
  calls: Workload['calls'],
  report: Report,
): Workload {
  const gateway = entry.labels[labels.gatewayName];
  const version = entry.labels[labels.appVersion] ?? entry.labels.version;
  const zone = entry.labels[labels.zone] ?? entry.spec.nodeSelector?.[labels.zone];
  const service = bestKnownService(entry);
  return {
    kind: 'workload',
    name: entry.name,
    namespace: entry.namespace,
    serviceAccount: entry.spec.serviceAccountName ?? 'default',
    ...(service ? { service: service.name } : {}),
    ...(version ? { version } : {}),
    ...(zone ? { zone } : {}),
    trustDomain: mesh.trustDomain,
    mtls: mesh.mtls,
    ports: inboundPorts(entry, report),
    access: entry.access,
    ...(entry.rateLimits.length ? { rateLimits: entry.rateLimits } : {}),
    calls,
    ...(gateway ? { gateway: qualifiedName(entry.namespace, gateway) } : {}),
  };
}

/** The services a workload says it calls, sorted; all where it says nothing. */
export function declaredCalls(entry: WorkloadEntry, services: ServiceEntries, report: Report): Workload['calls'] {
  const text = entry.annotations[annotations.calls];
  if (text === undefined) return 'all';
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean)
    .map((name) => (name.includes('/') ? name : qualifiedName(entry.namespace, name)));
  const calls = [...new Set(names)].sort(compareText);
  for (const name of calls) {
    if (services.has(name)) continue;
    report('MW1104', entry.object, {
      path: `annotation ${annotations.calls}`,
      message: `${entry.name} calls ${name}, which is not there`,
      hint: 'correct the name, or add the Service',
    });
  }
  return calls;
}

/** The Service with the widest selector: `reviews` rather than `reviews-v1`. */
function bestKnownService({ services }: WorkloadEntry): ServiceEntry | undefined {
  const width = (service: ServiceEntry) => Object.keys(service.object.spec.selector ?? {}).length;
  return [...services].sort((a, b) => width(a) - width(b) || compareText(a.name, b.name))[0];
}

/** The ports of its containers, with the protocol the Services say; what no Service names is TCP. */
function inboundPorts(entry: WorkloadEntry, report: Report): InboundPort[] {
  const ports = new Map<number, InboundPort>();
  const declaredBy = new Map<number, ServiceEntry>();
  for (const service of entry.services) {
    for (const port of service.ports) {
      const number = targetPortOf(port, entry);
      if (number === undefined) continue;
      const before = ports.get(number);
      if (!before) {
        ports.set(number, { port: number, protocol: port.protocol });
        declaredBy.set(number, service);
      } else if (before.protocol !== port.protocol) {
        report('MW1105', service.object, {
          message: `it says port ${number} of ${entry.name} speaks ${port.protocol}, but Service ${declaredBy.get(number)!.name} says ${before.protocol}`,
          hint: 'give both ports the same appProtocol',
        });
      }
    }
  }
  for (const container of entry.spec.containers) {
    for (const { containerPort: port, protocol } of container.ports ?? []) {
      if ((protocol ?? 'TCP') === 'TCP' && !ports.has(port)) ports.set(port, { port, protocol: 'tcp' });
    }
  }
  return [...ports.values()].sort((a, b) => a.port - b.port);
}

function controllersOf(inventory: Inventory): Template[] {
  const replicated = [...inventory.all('Deployment'), ...inventory.all('StatefulSet'), ...inventory.all('DaemonSet')];
  // Kubernetes gives the pods of a job a selector of its own; the labels of the template are as good.
  const bySelfLabels = (object: KubernetesObject, template: PodTemplate): Template => ({
    object,
    template,
    selector: template.metadata?.labels ?? {},
  });
  return [
    ...replicated.map((object) => ({
      object,
      template: object.spec.template,
      selector: object.spec.selector.matchLabels ?? {},
    })),
    ...inventory.all('Job').map((job) => bySelfLabels(job, job.spec.template)),
    ...inventory.all('CronJob').map((cron) => bySelfLabels(cron, cron.spec.jobTemplate.spec.template)),
  ];
}

function nameOf({ object, template }: Template): string {
  return template.metadata?.labels?.[labels.workload] ?? object.metadata.name;
}
