import { type EndpointSliceObject, labels, namespaceOf, type PodObject } from '../resources/index.ts';
import { valueAt } from './collections.ts';
import type { Inventory } from './inventory.ts';
import { isFinished } from './workload-seeds.ts';

export type SliceEndpoint = NonNullable<EndpointSliceObject['endpoints']>[number];

/** Finds the Pod that an endpoint is. */
export interface FindPod {
  byName(namespace: string, name: string): PodObject | undefined;
  /** Only one with a sidecar: who wrote an address by hand may not know that a proxy is there. */
  byAddress(address: string): PodObject | undefined;
}

/** @param pods - asked for once, and where an endpoint does not say which pod it is: almost all do */
export function podFinder(
  byName: FindPod['byName'],
  pods: () => readonly PodObject[],
  hasSidecar: (pod: PodObject) => boolean,
): FindPod {
  let byAddress: ReadonlyMap<string, PodObject | undefined> | undefined;
  return {
    byName,
    byAddress(address) {
      byAddress ??= indexAddresses(pods().filter((pod) => !isFinished(pod) && hasSidecar(pod)));
      return byAddress.get(address);
    },
  };
}

/** An address that several pods have tells nothing: on one machine they all have the same. */
function indexAddresses(pods: readonly PodObject[]): ReadonlyMap<string, PodObject | undefined> {
  const found = new Map<string, PodObject | undefined>();
  for (const pod of pods) {
    for (const address of addressesOf(pod)) found.set(address, found.has(address) ? undefined : pod);
  }
  return found;
}

/** The Service a slice belongs to, as `namespace/name`. */
export function serviceOf(slice: EndpointSliceObject): string | undefined {
  const name = slice.metadata.labels?.[labels.serviceName];
  return name && `${namespaceOf(slice)}/${name}`;
}

/** By Service, as `namespace/name`. */
export function slicesByService(inventory: Inventory): ReadonlyMap<string, readonly EndpointSliceObject[]> {
  const slicesOf = new Map<string, EndpointSliceObject[]>();
  for (const slice of inventory.all('EndpointSlice')) {
    const service = serviceOf(slice);
    if (service) valueAt(slicesOf, service, () => []).push(slice);
  }
  return slicesOf;
}

/** The Pod that an endpoint is: by its name, or where it tells none by its address. */
export function podOf(
  { targetRef, addresses }: SliceEndpoint,
  slice: EndpointSliceObject,
  findPod: FindPod,
): PodObject | undefined {
  if (targetRef?.kind !== 'Pod') return findPod.byAddress(addresses[0]);
  return findPod.byName(targetRef.namespace ?? namespaceOf(slice), targetRef.name ?? '');
}

/** Of both families, without those of loopback. */
export function addressesOf({ status }: PodObject): readonly string[] {
  const { podIP = '', podIPs = [] } = status ?? {};
  const all = new Set([podIP, ...podIPs.map(({ ip }) => ip)]);
  return [...all].filter((address) => address !== '' && !/^127\.|^::1$/.test(address));
}
