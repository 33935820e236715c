import { type Endpoint, type Endpoints, formatSpiffeId } from '../model/index.ts';
import {
  annotations,
  type EndpointSliceObject,
  labels,
  namespaceOf,
  type PodObject,
  proxyAdminPort,
} from '../resources/index.ts';
import { compareText } from './inventory.ts';
import type { MeshSettings } from './meshes.ts';
import { isHeadless, type ServiceEntry, type ServicePortEntry } from './services.ts';
import { podOf, type SliceEndpoint } from './slices.ts';
import { isLeaving } from './workload-seeds.ts';
import type { Workloads } from './workloads.ts';

/** An endpoint of a slice, with the Pod it is where it is one. */
interface Candidate {
  readonly family: EndpointSliceObject['addressType'];
  readonly endpoint: SliceEndpoint;
  readonly pod?: PodObject;
  readonly ports: Endpoint['ports'];
  /** `leaving` takes no new requests unless nobody else is there; `waiting` answers no readiness check. */
  readonly state: 'ready' | 'leaving' | 'waiting' | 'gone';
}

/** What of {@link Workloads} endpoints need. */
type KnownWorkloads = Pick<Workloads, 'findPod' | 'hasSidecar' | 'nameOfPod'>;

/**
 * The endpoints of a Service, from its EndpointSlices. As kube-proxy does, new requests go to endpoints that are ready;
 * where a port has none, to those that are about to leave and still serve. Those that are not ready are listed where a
 * panic may need them; of a headless Service all are, as each is called by itself, ready or not.
 */
export function endpointsOf(
  service: ServiceEntry,
  slices: readonly EndpointSliceObject[],
  workloads: KnownWorkloads,
  mesh: MeshSettings,
): Endpoints {
  const all = slices.flatMap((slice) => candidatesOf(slice, service, workloads.findPod));
  const candidates = withoutTwins(all, service);
  const ready = candidates.filter(({ state }) => state === 'ready');
  const served = new Set(ready.flatMap(({ ports }) => Object.keys(ports)));
  const leaving = candidates.flatMap((candidate) => {
    if (candidate.state !== 'leaving') return [];
    const ports = Object.fromEntries(Object.entries(candidate.ports).filter(([port]) => !served.has(port)));
    return Object.keys(ports).length > 0 ? [{ ...candidate, ports }] : [];
  });
  const inPanic = service.balancer.panicThreshold !== undefined;
  const waiting = inPanic ? candidates.filter(({ state }) => state === 'waiting') : [];
  const chosen = [...ready, ...leaving, ...waiting];
  const addresses = new Set(chosen.map(({ endpoint }) => endpoint.addresses[0]));
  const others = isHeadless(service) && !inPanic ? all.filter((it) => !addresses.has(it.endpoint.addresses[0])) : [];

  const found = new Map<string, Endpoint>();
  // An endpoint may stand in two slices for a moment; what one of them calls ready is.
  for (const candidate of [...chosen, ...others.map((it): Candidate => ({ ...it, state: 'waiting' }))]) {
    const key = `${candidate.endpoint.addresses[0]} ${JSON.stringify(candidate.ports)}`;
    if (!found.has(key)) found.set(key, toEndpoint(candidate, workloads, mesh));
  }
  const sorted = [...found].sort(([a], [b]) => compareText(a, b));
  return { kind: 'endpoints', name: service.name, endpoints: sorted.map(([, endpoint]) => endpoint) };
}

function candidatesOf(
  slice: EndpointSliceObject,
  service: ServiceEntry,
  findPod: KnownWorkloads['findPod'],
): Candidate[] {
  // Names are left to DNS, as kube-proxy does.
  if (slice.addressType === 'FQDN') return [];
  const common = { family: slice.addressType, ports: portsOf(slice, service.ports) };
  return (slice.endpoints ?? []).flatMap((endpoint): Candidate[] => {
    const pod = podOf(endpoint, slice, findPod);
    // Whether it has a proxy, nobody knows: it is about to be seen, or was just deleted.
    if (!pod && endpoint.targetRef?.kind === 'Pod') return [];
    return [{ ...common, endpoint, ...(pod && { pod }), state: stateOf(endpoint, service, pod) }];
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
  workloads: KnownWorkloads,
  { trustDomain }: MeshSettings,
): Endpoint {
  const zone = endpoint.zone ?? pod?.metadata.labels?.[labels.zone];
  const identity =
    pod && workloads.hasSidecar(pod)
      ? formatSpiffeId({
          trustDomain,
          namespace: namespaceOf(pod),
          serviceAccount: pod.spec.serviceAccountName ?? 'default',
        })
      : undefined;
  const plainPorts = identity && pod ? plainPortsOf(pod, ports) : [];
  return {
    // The addresses of one endpoint are interchangeable; the first is as good as any.
    address: endpoint.addresses[0],
    ports,
    ...(identity ? { identity } : {}),
    ...(plainPorts.length ? { plainPorts } : {}),
    ...(pod ? { workload: workloads.nameOfPod(pod) } : {}),
    ...(zone ? { zone } : {}),
    ...(state === 'waiting' ? { unready: true as const } : {}),
  };
}

/**
 * Ports that its redirection leaves out; injection has refused the pod where the list is wrong. Callers know of the
 * proxy's own port, but that a Service may lead there.
 */
function plainPortsOf({ metadata }: PodObject, ports: Endpoint['ports']): readonly number[] {
  const list = metadata.annotations?.[annotations.skipInboundPorts] ?? '';
  const skipped = list.split(',').flatMap((entry) => (/^\s*\d{1,5}\s*$/.test(entry) ? [Number(entry)] : []));
  const own = Object.values(ports).includes(proxyAdminPort) ? [proxyAdminPort] : [];
  return [...new Set([...skipped, ...own])].sort((a, b) => a - b);
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
