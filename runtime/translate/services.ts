import type {
  AppTls,
  Balancer,
  CircuitBreaker,
  FaultPolicy,
  HttpRule,
  OutlierDetection,
  Protocol,
  QualifiedName,
  RetryBudget,
  Service,
  ServicePort,
  TcpRoute,
  Timeouts,
  TlsRoute,
} from '../model/index.ts';
import { defaultBalancer, qualifiedName } from '../model/index.ts';
import { annotations, type EndpointSliceObject, namespaceOf, type ServiceObject } from '../resources/index.ts';
import { namesIn } from './annotations.ts';
import { compareText, type Inventory } from './inventory.ts';
import { type DeclaredProtocols, portKey, protocolOf } from './protocols.ts';
import type { Report } from './report.ts';
import { slicesByService } from './slices.ts';
import { referenceTo } from './status.ts';

/** The callers that a route is for: those of one namespace, or everyone. */
export type Audience = string;
export const everyone: Audience = '';

/** A TCP port of a Service while routes are being attached to it. */
export interface ServicePortEntry {
  readonly port: number;
  readonly name: string;
  readonly protocol: Protocol;
  /** Who says what it speaks; absent where nobody does and it is taken for TCP. */
  readonly declaredBy?: 'service' | 'route';
  /** Number, or name of a container port. */
  readonly targetPort: number | string;
  /** Of a Service without selector, where its endpoints are known: the ports that these have. */
  readonly portsByHand?: readonly number[];
  /** By namespace of the callers they are for; {@link everyone} for those of routes in the Service's own namespace. */
  readonly rules: Map<Audience, HttpRule[]>;
  readonly tcpRoutes: Map<Audience, TcpRoute>;
  readonly tlsRoutes: Map<Audience, TlsRoute[]>;
  /** Those who come to it in plain text do so through a proxy that tells of them. */
  readonly proxyProtocol: boolean;
  /** Never on a tcp port. */
  readonly appTls?: AppTls;
  readonly faults: FaultPolicy[];
  circuitBreaker?: CircuitBreaker;
  outlierDetection?: OutlierDetection;
  timeouts?: Timeouts;
}

/** A Service while it is being translated. */
export interface ServiceEntry {
  readonly object: ServiceObject;
  readonly namespace: string;
  readonly name: QualifiedName;
  readonly ports: readonly ServicePortEntry[];
  balancer: Balancer;
  retryBudget?: RetryBudget;
}

/** The Services of the mesh, by name. */
export interface ServiceEntries {
  get(name: QualifiedName): ServiceEntry | undefined;
  has(name: QualifiedName): boolean;
  values(): Iterable<ServiceEntry>;
  /** Why a Service is not among them, in words for findings. */
  absence(name: QualifiedName): { readonly message: string; readonly hint: string };
}

export function readServices(inventory: Inventory, declared: DeclaredProtocols, report: Report): ServiceEntries {
  const entries = new Map<QualifiedName, ServiceEntry>();
  const external = new Set<QualifiedName>();
  const slicesOf = slicesByService(inventory);
  for (const object of inventory.all('Service')) {
    const namespace = namespaceOf(object);
    const name = qualifiedName(namespace, object.metadata.name);
    // Only DNS knows where it leads: no address of the cluster and no endpoint stands for it.
    if (object.spec.type === 'ExternalName') {
      external.add(name);
      continue;
    }
    const ports: ServicePortEntry[] = [];
    const proxied = namesIn(object, annotations.proxyProtocol);
    const withTls = namesIn(object, annotations.appTls);
    const byHand = hasSelector({ object }) ? undefined : slicesOf.get(name);
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
      const names = [String(port.port), ...(port.name === undefined ? [] : [port.name])];
      const byRoute = port.appProtocol === undefined ? declared.get(portKey(name, port.port)) : undefined;
      const protocol = known ?? byRoute ?? 'tcp';
      const appTls = names.some((each) => withTls.has(each));
      if (appTls && protocol === 'tcp') {
        report('MW1361', object, {
          path: `annotation ${annotations.appTls}`,
          message: `port ${port.port} of Service ${name} is tcp, whose bytes, TLS or not, reach the application as they are`,
          hint: 'say with appProtocol what is spoken within TLS (http, kubernetes.io/h2c or grpc), or remove the port from the annotation',
        });
      }
      ports.push({
        port: port.port,
        name: port.name ?? '',
        protocol,
        ...(appTls && protocol !== 'tcp' ? { appTls: 'unverified' } : {}),
        ...(port.appProtocol !== undefined ? { declaredBy: 'service' } : byRoute ? { declaredBy: 'route' } : {}),
        targetPort: port.targetPort ?? port.port,
        ...(byHand ? { portsByHand: portsNamed(port.name, byHand) } : {}),
        rules: new Map(),
        tcpRoutes: new Map(),
        tlsRoutes: new Map(),
        proxyProtocol: names.some((each) => proxied.has(each)),
        faults: [],
      });
    }
    for (const [id, annotation, named] of [
      ['MW1410', annotations.proxyProtocol, proxied],
      ['MW1360', annotations.appTls, withTls],
    ] as const) {
      for (const unknown of named) {
        if (ports.some((port) => port.name === unknown || String(port.port) === unknown)) continue;
        report(id, object, {
          path: `annotation ${annotation}`,
          message: `Service ${name} has no TCP port ${unknown}; its ports: ${ports.map(({ port }) => port).join(', ') || 'none'}`,
          hint: 'name its ports by name or number, separated by commas',
        });
      }
    }
    entries.set(name, { object, namespace, name, ports, balancer: balancerOf(object) });
  }
  return {
    get: (name) => entries.get(name),
    has: (name) => entries.has(name),
    values: () => entries.values(),
    absence: (name) =>
      external.has(name)
        ? {
            message: `Service ${name} is of type ExternalName: only DNS knows where it leads`,
            hint: 'name a Service that has endpoints',
          }
        : { message: `Service ${name} is not there`, hint: 'correct the name, or add the Service' },
  };
}

/** No address stands for it: its endpoints are called one by one. */
export function isHeadless({ object }: ServiceEntry): boolean {
  return object.spec.clusterIP === 'None';
}

function portsNamed(name: string | undefined, slices: readonly EndpointSliceObject[]): readonly number[] {
  const ports = slices.flatMap((slice) => slice.ports ?? []).filter((port) => (port.name ?? '') === (name ?? ''));
  return [...new Set(ports.flatMap(({ port }) => port ?? []))];
}

/** Kubernetes writes its endpoints; else somebody else does. */
export function hasSelector({ object }: Pick<ServiceEntry, 'object'>): boolean {
  return Object.keys(object.spec.selector ?? {}).length > 0;
}

/** What the Service itself says of zones; a LoadBalancingPolicy says more. */
function balancerOf(service: ServiceObject): Balancer {
  return /^Prefer(SameZone|Close)$/.test(service.spec.trafficDistribution ?? '')
    ? { kind: 'peak-ewma', preferSameZone: { minEndpoints: 1 }, policy: referenceTo(service) }
    : defaultBalancer;
}

export function toService({ object, namespace, name, ports, balancer, retryBudget }: ServiceEntry): Service {
  const short = `${object.metadata.name}.${namespace}`;
  const { clusterIP, clusterIPs } = object.spec;
  return {
    kind: 'service',
    name,
    hosts: [short, `${short}.svc`, `${short}.svc.cluster.local`],
    addresses: (clusterIPs ?? (clusterIP ? [clusterIP] : [])).filter((address) => address && address !== 'None'),
    ports: ports.map(toServicePort),
    balancer,
    ...(retryBudget && { retryBudget }),
  };
}

function toServicePort(entry: ServicePortEntry): ServicePort {
  const {
    port,
    name,
    protocol,
    appTls,
    rules,
    tcpRoutes,
    tlsRoutes,
    faults,
    circuitBreaker,
    outlierDetection,
    timeouts,
  } = entry;
  const consumerRules = byConsumer(rules);
  const consumerTcpRoutes = byConsumer(tcpRoutes);
  const tcpRoute = tcpRoutes.get(everyone);
  const consumerTlsRoutes = byConsumer(tlsRoutes);
  const ownTlsRoutes = tlsRoutes.get(everyone);
  return {
    port,
    name,
    protocol,
    ...(appTls ? { appTls } : {}),
    rules: rules.get(everyone) ?? [],
    ...(consumerRules ? { consumerRules } : {}),
    ...(tcpRoute ? { tcpRoute } : {}),
    ...(consumerTcpRoutes ? { consumerTcpRoutes } : {}),
    ...(ownTlsRoutes ? { tlsRoutes: ownTlsRoutes } : {}),
    ...(consumerTlsRoutes ? { consumerTlsRoutes } : {}),
    ...(faults.length ? { faults } : {}),
    ...(circuitBreaker ? { circuitBreaker } : {}),
    ...(outlierDetection ? { outlierDetection } : {}),
    ...(timeouts ? { timeouts } : {}),
  };
}

function byConsumer<T>(byAudience: ReadonlyMap<Audience, T>): Readonly<Record<string, T>> | undefined {
  const consumers = [...byAudience].filter(([audience]) => audience !== everyone);
  if (consumers.length === 0) return undefined;
  return Object.fromEntries(consumers.sort(([a], [b]) => compareText(a, b)));
}
