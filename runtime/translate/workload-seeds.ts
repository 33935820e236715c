import { type QualifiedName, qualifiedName } from '../model/index.ts';
import {
  annotations,
  type KubernetesObject,
  labels,
  namespaceOf,
  type PodObject,
  type PodTemplate,
  workloadName,
} from '../resources/index.ts';
import { compareText, type Inventory } from './inventory.ts';
import type { Place } from './report.ts';

type Labels = Readonly<Record<string, string>>;
type ContainerPort = NonNullable<PodTemplate['spec']['containers'][number]['ports']>[number];

/** What a workload is, from its pod template or its pods; which Services select it comes later. */
export interface WorkloadSeed {
  /** What findings about it name. */
  readonly place: Place;
  readonly name: QualifiedName;
  readonly namespace: string;
  /** Of its pods: all those that differ. */
  readonly labelSets: readonly Labels[];
  readonly serviceAccount: string;
  /** Those of its other pods. */
  readonly otherServiceAccounts?: readonly string[];
  readonly version?: string;
  /** The zone all of it runs in. */
  readonly zone?: string;
  /** Name of the Gateway whose proxy it is. */
  readonly gateway?: string;
  /** What its pods say they call, each as a list of names; absent where one of them says nothing. */
  readonly calls?: readonly string[];
  readonly ports: readonly ContainerPort[];
  /** Whether a proxy stands beside its pods. */
  readonly inMesh: boolean;
}

/** A controller object with the template of its pods. */
export interface Controller {
  readonly object: KubernetesObject;
  readonly template: PodTemplate;
  readonly selector: Labels;
}

export function controllersOf(inventory: Inventory): Controller[] {
  const replicated = [...inventory.all('Deployment'), ...inventory.all('StatefulSet'), ...inventory.all('DaemonSet')];
  // Kubernetes gives the pods of a job a selector of its own; the labels of the template are as good.
  const bySelfLabels = (object: KubernetesObject, template: PodTemplate): Controller => ({
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

/** The name of the pods of a controller. */
export function nameOfController({ object, template }: Controller): QualifiedName {
  return qualifiedName(namespaceOf(object), template.metadata?.labels?.[labels.workload] ?? object.metadata.name);
}

export function seedOfController(controller: Controller, inMesh: boolean): WorkloadSeed {
  const { object, template } = controller;
  const { metadata, spec } = template;
  return {
    ...commonSeed(nameOfController(controller), namespaceOf(object), spec, metadata?.labels),
    ...calling([metadata?.annotations]),
    place: object,
    labelSets: [metadata?.labels ?? {}],
    ...zoned(metadata?.labels?.[labels.zone] ?? spec.nodeSelector?.[labels.zone]),
    ports: spec.containers.flatMap(({ ports }) => ports ?? []),
    inMesh,
  };
}

/** The name of the workload that a Pod belongs to where nothing but the Pod is known. */
export function nameOfPod(pod: PodObject): QualifiedName {
  return qualifiedName(namespaceOf(pod), workloadName(pod));
}

/** Whether nothing of a Pod runs any more. */
export function isFinished({ status }: PodObject): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

export function isLeaving({ metadata }: PodObject): boolean {
  return Boolean(metadata.deletionTimestamp);
}

/**
 * What unfinished pods of one name make together. While one version replaces another, the youngest that stays says
 * what the workload is; but their proxies share its rules until the last of the others has left, so it has the ports,
 * the accounts and the calls of them all.
 *
 * @param pods - oldest first, at least one
 */
export function seedOfPods(pods: readonly PodObject[], hasProxy: (pod: PodObject) => boolean): WorkloadSeed {
  const staying = pods.filter((pod) => !isLeaving(pod));
  const current = staying.length > 0 ? staying : pods;
  const youngest = current.at(-1)!;
  const { metadata, spec } = youngest;
  const name = nameOfPod(youngest);
  const namespace = namespaceOf(youngest);
  const zones = new Set(current.map((pod) => pod.metadata.labels?.[labels.zone]));
  const accounts = new Set(pods.map(accountOf));
  accounts.delete(accountOf(youngest));
  const constructPath = metadata.annotations?.[annotations.constructPath];
  return {
    ...commonSeed(name, namespace, spec, metadata.labels),
    ...calling(pods.map((pod) => pod.metadata.annotations)),
    place: {
      kind: 'Pod',
      metadata: {
        name: workloadName(youngest),
        namespace,
        ...(constructPath === undefined ? {} : { annotations: { [annotations.constructPath]: constructPath } }),
      },
    },
    labelSets: pods.map((pod) => pod.metadata.labels ?? {}),
    ...(accounts.size > 0 ? { otherServiceAccounts: [...accounts].sort(compareText) } : {}),
    ...zoned(spec.nodeSelector?.[labels.zone] ?? (zones.size === 1 ? [...zones][0] : undefined)),
    ports: distinctPorts(pods.toReversed()),
    inMesh: pods.some(hasProxy),
  };
}

type Common = Pick<WorkloadSeed, 'name' | 'namespace' | 'serviceAccount' | 'version' | 'gateway'>;

function commonSeed(
  name: QualifiedName,
  namespace: string,
  { serviceAccountName = 'default' }: PodTemplate['spec'],
  own: Labels = {},
): Common {
  const version = own[labels.appVersion] ?? own.version;
  const gateway = own[labels.gatewayName];
  return {
    name,
    namespace,
    serviceAccount: serviceAccountName,
    ...(version ? { version } : {}),
    ...(gateway ? { gateway } : {}),
  };
}

function calling(ofPods: readonly (Labels | undefined)[]): { calls?: readonly string[] } {
  const calls = new Set(ofPods.map((own) => own?.[annotations.calls]));
  return calls.has(undefined) ? {} : { calls: [...(calls as ReadonlySet<string>)] };
}

function accountOf({ spec }: PodObject): string {
  return spec.serviceAccountName ?? 'default';
}

function zoned(zone: string | undefined): { zone?: string } {
  return zone ? { zone } : {};
}

function distinctPorts(pods: readonly PodObject[]): ContainerPort[] {
  const ports = new Map<string, ContainerPort>();
  for (const { spec } of pods) {
    for (const port of spec.containers.flatMap((container) => container.ports ?? [])) {
      const key = `${port.name}/${port.containerPort}/${port.protocol}`;
      if (!ports.has(key)) ports.set(key, port);
    }
  }
  return [...ports.values()];
}
