import type { Balancer, FaultPolicy, HttpRule, Protocol, QualifiedName, Service } from '../model/index.ts';
import { defaultBalancer, qualifiedName } from '../model/index.ts';
import { namespaceOf, type ServiceObject } from '../resources/index.ts';
import type { Inventory } from './inventory.ts';
import { type DeclaredProtocols, portKey, protocolOf } from './protocols.ts';
import type { Report } from './report.ts';
import { referenceTo } from './status.ts';

/** A TCP port of a Service while routes are being attached to it. */
export interface ServicePortEntry {
  readonly port: number;
  readonly name: string;
  readonly protocol: Protocol;
  /** Number, or name of a container port. */
  readonly targetPort: number | string;
  readonly rules: HttpRule[];
  readonly faults: FaultPolicy[];
}

/** A Service while it is being translated. */
export interface ServiceEntry {
  readonly object: ServiceObject;
  readonly namespace: string;
  readonly name: QualifiedName;
  readonly ports: readonly ServicePortEntry[];
  balancer: Balancer;
}

export type ServiceEntries = ReadonlyMap<QualifiedName, ServiceEntry>;

export function readServices(inventory: Inventory, declared: DeclaredProtocols, report: Report): ServiceEntries {
  const entries = new Map<QualifiedName, ServiceEntry>();
  for (const object of inventory.all('Service')) {
    const namespace = namespaceOf(object);
    const name = qualifiedName(namespace, object.metadata.name);
    const ports: ServicePortEntry[] = [];
    for (const [index, port] of (object.spec.ports ?? []).entries()) {
      if ((port.protocol ?? 'TCP') !== 'TCP') continue;
      const known = port.appProtocol === undefined ? undefined : protocolOf(port.appProtocol);
      if (port.appProtocol !== undefined && known === undefined) {
        report('MW1103', object, {
          path: `spec.ports[${index}].appProtocol`,
          message: `${port.appProtocol} is not a protocol the mesh knows; the port is treated as tcp`,
          hint: 'use http, kubernetes.io/h2c, grpc or tcp',
        });
      }
      ports.push({
        port: port.port,
        name: port.name ?? '',
        protocol: known ?? (port.appProtocol ? 'tcp' : (declared.get(portKey(name, port.port)) ?? 'tcp')),
        targetPort: port.targetPort ?? port.port,
        rules: [],
        faults: [],
      });
    }
    entries.set(name, { object, namespace, name, ports, balancer: balancerOf(object) });
  }
  return entries;
}

/** What the Service itself says of zones; a LoadBalancingPolicy says more. */
function balancerOf(service: ServiceObject): Balancer {
  return /^Prefer(SameZone|Close)$/.test(service.spec.trafficDistribution ?? '')
    ? { kind: 'peak-ewma', preferSameZone: { minEndpoints: 1 }, policy: referenceTo(service) }
    : defaultBalancer;
}

export function toService({ object, namespace, name, ports, balancer }: ServiceEntry): Service {
  const short = `${object.metadata.name}.${namespace}`;
  const { clusterIP, clusterIPs } = object.spec;
  return {
    kind: 'service',
    name,
    hosts: [short, `${short}.svc`, `${short}.svc.cluster.local`],
    addresses: (clusterIPs ?? (clusterIP ? [clusterIP] : [])).filter((address) => address && address !== 'None'),
    ports: ports.map(({ targetPort: _, faults, ...port }) => ({ ...port, ...(faults.length ? { faults } : {}) })),
    balancer,
  };
}
