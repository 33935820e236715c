import { BlockList, isIP } from 'node:net';
import {
  type QualifiedName,
  qualifiedName,
  type Resource,
  type ResourceKind,
  type Service,
  type SpiffeId,
  servicesBehind,
  type Workload,
} from '../model/index.ts';

/** Who has to do with what. */
export interface Slices {
  /** Whether a proxy of this identity may see a resource. */
  permit(identity: SpiffeId, kind: ResourceKind, name: QualifiedName): boolean;
  /**
   * Whether `host:port` is on loopback or on the address of an endpoint. A proxy says itself where its admin port
   * is; it must not send the controller elsewhere.
   */
  isEndpoint(address: string): boolean;
}

interface Slice {
  readonly workloads: ReadonlySet<QualifiedName>;
  readonly gateways: ReadonlySet<QualifiedName>;
  readonly services: ReadonlySet<QualifiedName> | 'all';
}

/**
 * Cuts the mesh into what each identity may see: the workloads that run as it, the gateways they serve, and the
 * services they declare to call with those that their routes lead to.
 */
export function sliceResources(resources: readonly Resource[]): Slices {
  const services = new Map<QualifiedName, Service>();
  const workloads = new Map<string, Workload[]>();
  const addresses = new Set<string>();
  for (const resource of resources) {
    if (resource.kind === 'service') services.set(resource.name, resource);
    if (resource.kind === 'endpoints') for (const { address } of resource.endpoints) addresses.add(address);
    if (resource.kind !== 'workload') continue;
    for (const name of [resource.serviceAccount, ...(resource.otherServiceAccounts ?? [])]) {
      const account = qualifiedName(resource.namespace, name);
      workloads.set(account, [...(workloads.get(account) ?? []), resource]);
    }
  }
  const slices = new Map<string, Slice>();

  return {
    permit(identity, kind, name) {
      const account = qualifiedName(identity.namespace, identity.serviceAccount);
      let slice = slices.get(account);
      if (!slice) {
        slice = sliceOf(identity.namespace, workloads.get(account) ?? [], services);
        slices.set(account, slice);
      }
      if (kind === 'workload') return slice.workloads.has(name);
      if (kind === 'gateway') return slice.gateways.has(name);
      return slice.services === 'all' || slice.services.has(name);
    },
    isEndpoint(address) {
      const host = /^\[?(.+?)\]?:\d{1,5}$/.exec(address)?.[1] ?? '';
      const family = isIP(host);
      return family !== 0 && (loopback.check(host, family === 6 ? 'ipv6' : 'ipv4') || addresses.has(host));
    },
  };
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

function sliceOf(
  namespace: string,
  workloads: readonly Workload[],
  services: ReadonlyMap<QualifiedName, Service>,
): Slice {
  const callsAll = workloads.some(({ calls }) => calls === 'all');
  const called = workloads.flatMap(({ calls }) => (calls === 'all' ? [] : calls));
  return {
    workloads: new Set(workloads.map(({ name }) => name)),
    gateways: new Set(workloads.flatMap(({ gateway }) => gateway ?? [])),
    services: callsAll
      ? 'all'
      : new Set(
          called.flatMap((name) => {
            const service = services.get(name);
            return [name, ...(service ? servicesBehind(service, namespace) : [])];
          }),
        ),
  };
}
