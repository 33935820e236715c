import * as z from 'zod';
import { defaultSettings, injectPod } from '../../injection/index.ts';
import { injectEnabled, labels, proxyContainer } from '../../resources/index.ts';
import type { ClusterView } from './cluster-view.ts';

const text = z.string();
const strings = z.record(text, text).optional();
const container = z.looseObject({
  name: text,
  image: text.optional(),
  env: z.array(z.object({ name: text, value: text.optional() })).optional(),
});
const containerStatus = z.object({
  name: text,
  ready: z.boolean(),
  state: z.object({ waiting: z.object({ reason: text.optional(), message: text.optional() }).optional() }).optional(),
});

const podSchema = z.looseObject({
  metadata: z.looseObject({ name: text, namespace: text, labels: strings, deletionTimestamp: text.optional() }),
  spec: z.looseObject({ containers: z.array(container), initContainers: z.array(container).optional() }),
  status: z.object({
    phase: text.optional(),
    containerStatuses: z.array(containerStatus).optional(),
    initContainerStatuses: z.array(containerStatus).optional(),
  }),
});
const namespaceSchema = z.object({ metadata: z.object({ name: text, labels: strings }) });

export type CheckedPod = z.infer<typeof podSchema>;
export type CheckedNamespace = z.infer<typeof namespaceSchema>;

/** Pods that run or are to run. */
export async function livePods(
  cluster: ClusterView,
  where: { namespace?: string; labelSelector?: string } = {},
): Promise<CheckedPod[]> {
  const pods = (await cluster.list({ apiVersion: 'v1', kind: 'Pod' }, where)).map((object) => podSchema.parse(object));
  return pods.filter(
    ({ metadata, status }) =>
      metadata.deletionTimestamp === undefined && status.phase !== 'Succeeded' && status.phase !== 'Failed',
  );
}

/** A pod without a proxy. */
export interface BarePod {
  readonly name: string;
  /** Why it would not get one today either. */
  readonly reason?: string;
}

/** Pods that have no proxy though they, or their namespaces, ask for one: the injector itself is asked about each. */
export async function barePods(cluster: ClusterView): Promise<BarePod[]> {
  const namespaces = await cluster.list({ apiVersion: 'v1', kind: 'Namespace' });
  const labelsOf = new Map(
    namespaces.map((object) => {
      const { metadata } = namespaceSchema.parse(object);
      return [metadata.name, metadata.labels];
    }),
  );
  return (await livePods(cluster)).flatMap((pod): BarePod[] => {
    if (proxyOf(pod)) return [];
    const request = { settings: defaultSettings, namespaceLabels: labelsOf.get(pod.metadata.namespace) };
    const injection = injectPod(pod, request);
    const name = nameOf(pod);
    if (injection.kind === 'injected') return [{ name }];
    return injection.findings.length > 0 ? [{ name, reason: injection.reason }] : [];
  });
}

/** Namespaces whose pods get a sidecar. */
export async function meshedNamespaces(cluster: ClusterView): Promise<CheckedNamespace[]> {
  const all = await cluster.list({ apiVersion: 'v1', kind: 'Namespace' });
  return all
    .map((object) => namespaceSchema.parse(object))
    .filter(({ metadata }) => metadata.labels?.[labels.inject] === injectEnabled);
}

/** The container of the proxy: an init container that goes on in a sidecar, a plain one in a gateway. */
export function proxyOf({ spec }: CheckedPod) {
  return [...(spec.initContainers ?? []), ...spec.containers].find(({ name }) => name === proxyContainer);
}

export function proxyStatusOf({ status }: CheckedPod) {
  const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  return all.find(({ name }) => name === proxyContainer);
}

export function nameOf({ metadata }: CheckedPod): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** Why a container does not run, as far as Kubernetes says. */
export function waitingOf(statuses: CheckedPod['status']['containerStatuses']): string | undefined {
  const waiting = statuses?.find(({ state }) => state?.waiting)?.state?.waiting;
  return waiting && [waiting.reason, waiting.message].filter(Boolean).join(': ');
}
