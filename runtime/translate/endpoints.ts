import { type Endpoint, type Endpoints, formatSpiffeId } from '../model/index.ts';
import { type EndpointSliceObject, labels, namespaceOf, type PodObject } from '../resources/index.ts';
import { valueAt } from './collections.ts';
import { compareText, type Inventory } from './inventory.ts';
import type { MeshSettings } from './meshes.ts';
import type { ServiceEntry, ServicePortEntry } from './services.ts';
import { isLeaving } from './workload-seeds.ts';
import type { Workloads } from './workloads.ts';

type SliceEndpoint = NonNullable<EndpointSliceObject['endpoints']>[number];

/** An endpoint of a slice, with the Pod it is where it is one. */
interface Candidate {
  readonly family: EndpointSliceObject['addressType'];
  readonly endpoint: SliceEndpoint;
  readonly pod?: PodObject;
  readonly ports: Endpoint['ports'];
  /** `leaving` takes no new requests unless nobody else is there; `waiting` answers no readiness check. */
  readonly state: 'ready' | 'leaving' | 'waiting' | 'gone';
}

/** Finds the Pod that an endpoint refers to. */
export type FindPod = (namespace: string, name: string) => PodObject | undefined;

/** By Service, as `namespace/name`. */
export function slicesByService(inventory: Inventory): ReadonlyMap<string, readonly EndpointSliceObject[]> {
  const slicesOf = new Map<string, EndpointSliceObject[]>();
  for (const slice of inventory.all('EndpointSlice')) {
    const service = serviceOf(slice);
    if (service) valueAt(slicesOf, service, () => []).push(slice);
  }
  return slicesOf;
}

/** The Service a slice belongs to, as `namespace/name`. */
export function serviceOf(slice: EndpointSliceObject): string | undefined {
  const name = slice.metadata.labels?.[labels.serviceName];
  return name && `${namespaceOf(slice)}/${name}`;
}

/**
 * The endpoints of a Service, from its EndpointSlices. As kube-proxy does, new requests go to endpoints that are ready;
 * where a port has none, to those that are about to leave and still serve. Those that are not ready are listed where a
 * panic may need them.
 */
export function endpointsOf(
  service: ServiceEntry,
  slices: readonly EndpointSliceObject[],
  findPod: FindPod,
  workloads: Pick<Workloads, 'hasProxy' | 'nameOfPod'>,
  mesh: MeshSettings,
): Endpoints {
  const candidates = withoutTwins(
    slices.flatMap((slice) => candidatesOf(slice, service, findPod)),
    service,
  );
  const ready = candidates.filter(({ state }) => state === 'ready');
  const served = new Set(ready.flatMap(({ ports }) => Object.keys(ports)));
  const leaving = candidates.flatMap((candidate) => {
    if (candidate.state !== 'leaving') return [];
    const ports = Object.fromEntries(Object.entries(candidate.ports).filter(([port]) => !served.has(port)));
    return Object.keys(ports).length > 0 ? [{ ...candidate, ports }] : [];
  });
  const inPanic = service.balancer.panicThreshold !== undefined;
  const waiting = inPanic ? candidates.filter(({ state }) => state === 'waiting') : [];

  const found = new Map<string, Endpoint>();
  // An endpoint may stand in two slices for a moment; what one of them calls ready is.
  for (const candidate of [...ready, ...leaving, ...waiting]) {
    const key = `${candidate.endpoint.addresses[0]} ${JSON.stringify(candidate.ports)}`;
    if (!found.has(key)) found.set(key, toEndpoint(candidate, workloads, mesh));
  }
  const sorted = [...found].sort(([a], [b]) => compareText(a, b));
  return { kind: 'endpoints', name: service.name, endpoints: sorted.map(([, endpoint]) => endpoint) };
}

function candidatesOf(slice: EndpointSliceObject, service: ServiceEntry, findPod: FindPod): Candidate[] {
  // Names are left to DNS, as kube-proxy does.
  if (slice.addressType === 'FQDN') return [];
  const common = { family: slice.addressType, ports: portsOf(slice, service.ports) };
  return (slice.endpoints ?? []).flatMap((endpoint): Candidate[] => {
    const { kind, namespace = namespaceOf(slice), name = '' } = endpoint.targetRef ?? {};
    if (kind !== 'Pod') return [{ ...common, endpoint, state: stateOf(endpoint, service) }];
    const pod = findPod(namespace, name);
    // Whether it has a proxy, nobody knows: it is about to be seen, or was just deleted.
    if (!pod) return [];
    return [{ ...common, endpoint, pod, state: stateOf(endpoint, service, pod) }];
  });
}

/** "Unknown" counts as ready (EndpointConditions). A Pod that is being deleted is known before its slices say so. */
function stateOf({ conditions }: SliceEndpoint, service: ServiceEntry, pod?: PodObject): Candidate['state'] {
  const ready = conditions?.ready !== false;
  if (service.object.spec.publishNotReadyAddresses) return ready ? 'ready' : 'waiting';
  const serving = conditions?.serving ?? ready;
  if (conditions?.terminating || (pod && isLeaving(pod))) return serving ? 'leaving' : 'gone';
  return ready ? 'ready' : 'waiting';
}

/** A dual-stack pod stands in slices of both families: the one of the Service's first address is enough. */
function withoutTwins(candidates: readonly Candidate[], service: ServiceEntry): readonly Candidate[] {
  const { ipFamilies, clusterIPs, clusterIP } = service.object.spec;
  const preferred = ipFamilies?.[0] ?? ((clusterIPs?.[0] ?? clusterIP)?.includes(':') ? 'IPv6' : 'IPv4');
  const isPreferred = ({ family }: Candidate) => family === preferred;
  const reached = new Set(candidates.flatMap((candidate) => (isPreferred(candidate) ? (candidate.pod ?? []) : [])));
  if (reached.size === 0) return candidates;
  return candidates.filter((candidate) => isPreferred(candidate) || !candidate.pod || !reached.has(candidate.pod));
}

function toEndpoint(
  { endpoint, pod, ports, state }: Candidate,
  workloads: Pick<Workloads, 'hasProxy' | 'nameOfPod'>,
  { trustDomain }: MeshSettings,
): Endpoint {
  const zone = endpoint.zone ?? pod?.metadata.labels?.[labels.zone];
  const identity =
    pod && workloads.hasProxy(pod)
      ? formatSpiffeId({
          trustDomain,
          namespace: namespaceOf(pod),
          serviceAccount: pod.spec.serviceAccountName ?? 'default',
        })
      : undefined;
  return {
    // The addresses of one endpoint are interchangeable; the first is as good as any.
    address: endpoint.addresses[0],
    ports,
    ...(identity ? { identity } : {}),
    ...(pod ? { workload: workloads.nameOfPod(pod) } : {}),
    ...(zone ? { zone } : {}),
    ...(state === 'waiting' ? { unready: true as const } : {}),
  };
}

/** From the Service's port numbers to those of the slice: by name, else by number. */
function portsOf(slice: EndpointSliceObject, ports: readonly ServicePortEntry[]): Record<string, number> {
  const result: Record<string, number> = {};
  for (const port of ports) {
    const match =
      slice.ports?.find((candidate) => (candidate.name ?? '') === port.name) ??
      slice.ports?.find((candidate) => !candidate.name && candidate.port === port.targetPort);
    if (match?.port !== undefined) result[port.port] = match.port;
  }
  return result;
}
