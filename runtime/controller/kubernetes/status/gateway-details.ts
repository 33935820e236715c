import * as z from 'zod';
import type { ObjectReference } from '../../../model/index.ts';
import {
  type GatewayObject,
  groups,
  type KubernetesObject,
  labels,
  namespaceOf,
  type PodObject,
  type ServiceObject,
} from '../../../resources/index.ts';
import type { GatewayAddress } from './merge-status.ts';

/** More than these Gateway API does not take. */
const maxAddresses = 16;

const loadBalanced = z.object({
  loadBalancer: z.object({
    ingress: z.array(z.object({ ip: z.string().optional(), hostname: z.string().optional() })),
  }),
});

/**
 * Where a Gateway is reached, by `namespace/name`: the addresses of the Services that select its pods, those of load
 * balancers where there are any.
 *
 * @param statusOf - the status of a Service
 */
export function gatewayAddresses(
  objects: readonly KubernetesObject[],
  statusOf: (service: ObjectReference) => unknown,
): ReadonlyMap<string, readonly GatewayAddress[]> {
  const gateways = new Map<string, PodObject>();
  for (const object of objects) {
    if (object.kind !== 'Pod') continue;
    const name = object.metadata.labels?.[labels.gatewayName];
    if (name !== undefined) gateways.set(`${namespaceOf(object)}/${name}`, object);
  }
  if (gateways.size === 0) return new Map();
  const namespaces = new Set([...gateways.values()].map(namespaceOf));
  const services = objects.filter(
    (object): object is ServiceObject => object.kind === 'Service' && namespaces.has(namespaceOf(object)),
  );
  return new Map(
    [...gateways].map(([gateway, pod]) => {
      const addresses = services
        .filter((service) => selects(service, pod))
        .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
        .flatMap((service) => addressesOf(service, statusOf));
      return [gateway, addresses.slice(0, maxAddresses)];
    }),
  );
}

function selects(service: ServiceObject, pod: PodObject): boolean {
  const selector = Object.entries(service.spec.selector ?? {});
  const given = pod.metadata.labels ?? {};
  return namespaceOf(service) === namespaceOf(pod) && selector.length > 0 && selector.every(([k, v]) => given[k] === v);
}

function addressesOf(service: ServiceObject, statusOf: (service: ObjectReference) => unknown): GatewayAddress[] {
  const { name } = service.metadata;
  const parsed = loadBalanced.safeParse(statusOf({ kind: 'Service', namespace: namespaceOf(service), name }));
  const outside = (parsed.data?.loadBalancer.ingress ?? []).flatMap(({ ip, hostname }): GatewayAddress[] => [
    ...(ip ? [{ type: 'IPAddress' as const, value: ip }] : []),
    ...(hostname ? [{ type: 'Hostname' as const, value: hostname }] : []),
  ]);
  if (outside.length > 0) return outside;
  const { clusterIPs, clusterIP } = service.spec;
  return (clusterIPs ?? (clusterIP ? [clusterIP] : []))
    .filter((address) => address !== '' && address !== 'None')
    .map((value) => ({ type: 'IPAddress', value }));
}

/** Kinds of routes that can be attached to a listener of a protocol. */
const kindsOfProtocol: Readonly<Record<string, readonly string[]>> = {
  HTTP: ['HTTPRoute', 'GRPCRoute'],
  HTTPS: ['HTTPRoute', 'GRPCRoute'],
  TLS: ['TLSRoute'],
};

/** The kinds of routes that a listener takes: what we can serve of what it allows. */
export function supportedKinds(listener: GatewayObject['spec']['listeners'][number] | undefined) {
  const possible = kindsOfProtocol[listener?.protocol ?? ''] ?? [];
  const allowed = listener?.allowedRoutes?.kinds;
  return possible
    .filter(
      (kind) =>
        !allowed || allowed.some((each) => each.kind === kind && (each.group ?? groups.gateway) === groups.gateway),
    )
    .map((kind) => ({ group: groups.gateway, kind }));
}
