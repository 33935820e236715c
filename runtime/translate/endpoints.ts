import { type Endpoint, type Endpoints, formatSpiffeId } from '../model/index.ts';
import { type EndpointSliceObject, labels, namespaceOf } from '../resources/index.ts';
import { valueAt } from './collections.ts';
import { compareText, type Inventory } from './inventory.ts';
import type { MeshSettings } from './meshes.ts';
import type { ServiceEntry, ServicePortEntry } from './services.ts';
import { hasProxy, type Workloads } from './workloads.ts';

type SliceEndpoint = NonNullable<EndpointSliceObject['endpoints']>[number];

/** The endpoints of each Service, from its EndpointSlices; those that are not ready where a panic may need them. */
export function readEndpoints(
  inventory: Inventory,
  workloads: Workloads,
  mesh: MeshSettings,
): (service: ServiceEntry) => Endpoints {
  const slicesOf = new Map<string, EndpointSliceObject[]>();
  for (const slice of inventory.all('EndpointSlice')) {
    const key = `${namespaceOf(slice)}/${slice.metadata.labels?.[labels.serviceName]}`;
    valueAt(slicesOf, key, () => []).push(slice);
  }

  const endpointOf = (slice: EndpointSliceObject, endpoint: SliceEndpoint, ports: Endpoint['ports']): Endpoint => {
    const { kind, namespace = namespaceOf(slice), name = '' } = endpoint.targetRef ?? {};
    const pod = kind === 'Pod' ? inventory.find('Pod', namespace, name) : undefined;
    const identity =
      pod && hasProxy(pod)
        ? formatSpiffeId({
            trustDomain: mesh.trustDomain,
            namespace,
            serviceAccount: pod.spec.serviceAccountName ?? 'default',
          })
        : undefined;
    const zone = endpoint.zone ?? pod?.metadata.labels?.[labels.zone];
    return {
      // The addresses of one endpoint are interchangeable; the first is as good as any.
      address: endpoint.addresses[0],
      ports,
      ...(identity ? { identity } : {}),
      ...(pod ? { workload: workloads.nameOfPod(pod) } : {}),
      ...(zone ? { zone } : {}),
      ...(isReady(endpoint) ? {} : { unready: true as const }),
    };
  };

  return (service) => {
    const found = new Map<string, Endpoint>();
    const inPanic = service.balancer.panicThreshold !== undefined;
    for (const slice of slicesOf.get(service.name) ?? []) {
      const ports = portsOf(slice, service.ports);
      for (const endpoint of slice.endpoints ?? []) {
        if (!isReady(endpoint) && (!inPanic || endpoint.conditions?.terminating)) continue;
        const key = `${endpoint.addresses[0]} ${JSON.stringify(ports)}`;
        // An endpoint may stand in two slices for a moment; what one of them calls ready is.
        if (!found.has(key) || isReady(endpoint)) found.set(key, endpointOf(slice, endpoint, ports));
      }
    }
    const sorted = [...found].sort(([a], [b]) => compareText(a, b));
    return { kind: 'endpoints', name: service.name, endpoints: sorted.map(([, endpoint]) => endpoint) };
  };
}

/** "Unknown" counts as ready (EndpointConditions). */
function isReady({ conditions }: SliceEndpoint): boolean {
  return conditions?.ready !== false;
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
