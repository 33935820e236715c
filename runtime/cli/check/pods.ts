import * as z from 'zod';
import { injectDisabled, injectEnabled, labels, proxyContainer } from '../../resources/index.ts';
import type { ClusterView } from './cluster-view.ts';

const text = z.string();
const strings = z.record(text, text).optional();
const container = z.object({
  name: text,
  image: text.optional(),
  env: z.array(z.object({ name: text, value: text.optional() })).optional(),
});
const containerStatus = z.object({
  name: text,
  ready: z.boolean(),
  state: z.object({ waiting: z.object({ reason: text.optional(), message: text.optional() }).optional() }).optional(),
});

const podSchema = z.object({
  metadata: z.object({ name: text, namespace: text, labels: strings, deletionTimestamp: text.optional() }),
  spec: z.object({
    containers: z.array(container),
    initContainers: z.array(container).optional(),
    hostNetwork: z.boolean().optional(),
  }),
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

/** Pods whose namespace or whose own label asks for a sidecar, and of which nothing says that they must not have one. */
export async function podsToMesh(cluster: ClusterView): Promise<CheckedPod[]> {
  const meshed = new Set((await meshedNamespaces(cluster)).map(({ metadata }) => metadata.name));
  return (await livePods(cluster)).filter(({ metadata, spec }) => {
    const asked = metadata.labels?.[labels.inject];
    if (asked === injectDisabled || spec.hostNetwork || metadata.labels?.[labels.gatewayName]) return false;
    return asked === injectEnabled || meshed.has(metadata.namespace);
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
