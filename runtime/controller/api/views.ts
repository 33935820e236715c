import {
  type Finding,
  finding,
  formatSpiffeId,
  type Resource,
  type ResourceKind,
  resourceKinds,
  type Service,
} from '../../model/index.ts';
import type { ProxyStatus } from '../../xds/server.ts';

/** A connected proxy, as `/api/v1/proxies` shows it. */
export interface ProxyView {
  readonly id: string;
  /** `namespace/name`. */
  readonly workload?: string;
  readonly identity: string;
  readonly connected: true;
  readonly connectedAt: string;
  /** `host:port` of its admin port. */
  readonly admin?: string;
  /** Versions it has accepted, by kind and name. */
  readonly acknowledged: Readonly<Partial<Record<ResourceKind, Readonly<Record<string, string>>>>>;
  /** Whether it has accepted the newest version of all it subscribed to. */
  readonly upToDate: boolean;
  readonly nacks: readonly NackView[];
}

interface NackView {
  readonly kind: ResourceKind;
  /** Names of what it refused. */
  readonly resources: readonly string[];
  readonly error: string;
}

/** A service, as `/api/v1/services` shows it. */
export interface ServiceView {
  readonly name: string;
  readonly hosts: readonly string[];
  readonly ports: readonly {
    readonly port: number;
    readonly name: string;
    readonly protocol: string;
    readonly routes: readonly string[];
  }[];
  readonly balancer: string;
  /** How many are ready. */
  readonly endpoints: number;
  readonly versions: readonly { readonly version: string; readonly workload: string; readonly endpoints: number }[];
}

/** `version` tells the newest version of a resource. */
export function viewProxy(
  proxy: ProxyStatus,
  version: (kind: ResourceKind, name: string) => string | undefined,
): ProxyView {
  const acknowledged: Partial<Record<ResourceKind, Readonly<Record<string, string>>>> = {};
  const nacks: NackView[] = [];
  let upToDate = true;
  for (const kind of resourceKinds) {
    const status = proxy.subscriptions[kind];
    if (!status) continue;
    acknowledged[kind] = status.acknowledged;
    const byReason = Map.groupBy(Object.entries(status.rejected), ([, { reason }]) => reason);
    for (const [error, refused] of byReason) nacks.push({ kind, resources: refused.map(([name]) => name), error });
    for (const name of status.subscribed) {
      if (name === '*' || status.refused.includes(name)) continue;
      if (version(kind, name) !== status.acknowledged[name]) upToDate = false;
    }
  }
  const { workload, admin } = proxy.metadata;
  return {
    id: proxy.id,
    ...(workload ? { workload } : {}),
    identity: formatSpiffeId(proxy.identity),
    connected: true,
    connectedAt: new Date(proxy.connectedAt).toISOString(),
    ...(admin ? { admin } : {}),
    acknowledged,
    upToDate,
    nacks,
  };
}

export function viewServices(resources: readonly Resource[]): ServiceView[] {
  const endpoints = new Map(
    resources.flatMap((resource) =>
      resource.kind === 'endpoints' ? [[resource.name, resource.endpoints.filter(({ unready }) => !unready)]] : [],
    ),
  );
  const workloads = resources.filter((resource) => resource.kind === 'workload');
  return resources
    .filter((resource): resource is Service => resource.kind === 'service')
    .map(({ name, hosts, ports, balancer }) => {
      const ready = endpoints.get(name) ?? [];
      return {
        name,
        hosts,
        ports: ports.map(({ port, name: portName, protocol, rules }) => ({
          port,
          name: portName,
          protocol,
          routes: [...new Set(rules.map(({ route }) => `${route.kind} ${route.namespace}/${route.name}`))],
        })),
        balancer: balancer.kind,
        endpoints: ready.length,
        versions: workloads
          .filter((workload) => workload.service === name)
          .map((workload) => ({
            version: workload.version ?? '',
            workload: workload.name,
            endpoints: ready.filter((endpoint) => endpoint.workload === workload.name).length,
          })),
      };
    });
}

/** What proxies refused, as findings. */
export function nackFindings(proxies: readonly ProxyView[]): Finding[] {
  return proxies.flatMap((proxy) =>
    proxy.nacks.map(({ kind, resources, error }) =>
      finding('MW1703', {
        message: `proxy ${proxy.id} refused ${kind} ${resources.join(', ')}: ${error}`,
        hint: 'it goes on with the version before; correct the objects these come from',
        object: proxy.id,
      }),
    ),
  );
}
