import type { Selection } from '../../kubernetes/index.ts';
import { apiVersions, groups, type Kind } from '../../resources/index.ts';

/** Older installations of Gateway API serve some kinds as v1beta1 only. */
const gatewayApi = [apiVersions.gateway, `${groups.gateway}/v1beta1`];
/** Routes of connections became v1 later than others. */
const connectionRoutes = [apiVersions.gateway, `${groups.gateway}/v1alpha3`, `${groups.gateway}/v1alpha2`];
const ours = [apiVersions.meshwright];
const configuring: ReadonlySet<readonly string[]> = new Set([gatewayApi, connectionRoutes, ours]);

/**
 * The versions in which each kind is read from a cluster, the first that it serves; none for kinds of which the cluster
 * makes pods, which are read instead.
 */
const versions: Readonly<Record<Kind, readonly string[]>> = {
  Namespace: [apiVersions.core],
  ServiceAccount: [apiVersions.core],
  Service: [apiVersions.core],
  Pod: [apiVersions.core],
  EndpointSlice: [apiVersions.discovery],
  Deployment: [],
  StatefulSet: [],
  DaemonSet: [],
  Job: [],
  CronJob: [],
  Gateway: gatewayApi,
  GatewayClass: gatewayApi,
  ReferenceGrant: gatewayApi,
  HTTPRoute: gatewayApi,
  GRPCRoute: gatewayApi,
  TCPRoute: connectionRoutes,
  TLSRoute: connectionRoutes,
  Mesh: ours,
  AccessPolicy: ours,
  LoadBalancingPolicy: ours,
  RateLimitPolicy: ours,
  FaultPolicy: ours,
  RetryPolicy: ours,
  MtlsPolicy: ours,
  CircuitBreakerPolicy: ours,
  OutlierDetectionPolicy: ours,
  TimeoutPolicy: ours,
};

/** Pods that are done take no part in the mesh any more. */
const selections: Readonly<Partial<Record<Kind, Selection>>> = {
  Pod: { fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' },
};

export interface WatchedKind {
  readonly kind: Kind;
  readonly versions: readonly string[];
  readonly selection: Selection;
  /** Whether its status is read, or written: that of what configures the mesh, and that of Services. */
  readonly keepsStatus: boolean;
}

export const watchedKinds: readonly WatchedKind[] = (Object.keys(versions) as Kind[])
  .filter((kind) => versions[kind].length > 0)
  .map((kind) => ({
    kind,
    versions: versions[kind],
    selection: selections[kind] ?? {},
    keepsStatus: configuring.has(versions[kind]) || kind === 'Service',
  }));
