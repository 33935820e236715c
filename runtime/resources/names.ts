/** API groups. */
export const groups = {
  core: '',
  gateway: 'gateway.networking.k8s.io',
  meshwright: 'meshwright.dev',
} as const;

/** The `apiVersion` of what we write. */
export const apiVersions = {
  core: 'v1',
  apps: 'apps/v1',
  batch: 'batch/v1',
  discovery: 'discovery.k8s.io/v1',
  gateway: 'gateway.networking.k8s.io/v1',
  meshwright: 'meshwright.dev/v1alpha1',
} as const;

export const labels = {
  /** On a namespace or pod: `enabled` puts a sidecar beside the pod. */
  inject: 'meshwright.dev/inject',
  /** On a pod template: the workload's name where it differs from the controller object's. */
  workload: 'meshwright.dev/workload',
  /** On a pod, put there by who puts a sidecar beside it: what kind of proxy it has, see {@link sidecarProxy}. */
  proxy: 'meshwright.dev/proxy',
  /** On a gateway's pods (Gateway API): the Gateway they serve. */
  gatewayName: 'gateway.networking.k8s.io/gateway-name',
  /** On an EndpointSlice: the Service it belongs to. */
  serviceName: 'kubernetes.io/service-name',
  /** On a node, and from there on its pods: the zone. */
  zone: 'topology.kubernetes.io/zone',
  appName: 'app.kubernetes.io/name',
  appVersion: 'app.kubernetes.io/version',
  appPartOf: 'app.kubernetes.io/part-of',
  appManagedBy: 'app.kubernetes.io/managed-by',
} as const;

/** The value of {@link labels.inject} that turns injection on. */
export const injectEnabled = 'enabled';

/** The value of {@link labels.inject} that turns it off for a pod, whatever its namespace says. */
export const injectDisabled = 'disabled';

/** The value of {@link labels.proxy} for a pod with a sidecar. */
export const sidecarProxy = 'sidecar';

export const annotations = {
  /** On a Service: comma-separated ports, by name or number, whose applications listen with TLS only. */
  appTls: 'meshwright.dev/app-tls',
  /** On a pod template: comma-separated `namespace/name` of the services it may call. Absent: all. */
  calls: 'meshwright.dev/calls',
  /** On any object: where in the construct tree it came from; findings repeat it. */
  constructPath: 'meshwright.dev/construct-path',
  /**
   * On a Service: comma-separated ports, by name or number; on a Gateway: names of listeners. There plain text begins
   * with a PROXY header (version 2), which names the client.
   */
  proxyProtocol: 'meshwright.dev/proxy-protocol',
  /** On a pod: comma-separated ports whose connections reach the app past its proxy. */
  skipInboundPorts: 'meshwright.dev/skip-inbound-ports',
  /** On a pod: comma-separated ports that the app connects to past its proxy. */
  skipOutboundPorts: 'meshwright.dev/skip-outbound-ports',
  /** On a pod: comma-separated address ranges that the app connects to past its proxy: `10.0.0.0/8,192.0.2.7`. */
  skipOutboundCidrs: 'meshwright.dev/skip-outbound-cidrs',
  /** On a pod: `enabled` or `disabled`. */
  accessLog: 'meshwright.dev/access-log',
  /** On a pod: what its proxy asks for and may use, as Kubernetes writes quantities. */
  proxyCpuRequest: 'meshwright.dev/proxy-cpu-request',
  proxyCpuLimit: 'meshwright.dev/proxy-cpu-limit',
  proxyMemoryRequest: 'meshwright.dev/proxy-memory-request',
  proxyMemoryLimit: 'meshwright.dev/proxy-memory-limit',
  /** On a pod: how many processes of its proxy share the connections. */
  proxyConcurrency: 'meshwright.dev/proxy-concurrency',
} as const;

/** Namespace of the control plane, and the name of its Deployment, Service and ServiceAccount. */
export const controlPlane = { namespace: 'meshwright-system', name: 'meshwright-controller' } as const;

/** The ConfigMap in which controllers tell their leader what proxies refuse. */
export const refusalsName = `${controlPlane.name}-refusals`;

/** Where a proxy gives health and metrics, in plain text; no connection to it is redirected. */
export const proxyAdminPort = 15_020;

/** The container of a pod's proxy: a sidecar's, or a gateway's. */
export const proxyContainer = 'meshwright-proxy';

/** The GatewayClass that needs no GatewayClass object. */
export const gatewayClassName = 'meshwright';
/** `controllerName` of further GatewayClasses of ours. */
export const gatewayControllerName = 'meshwright.dev/gateway-controller';

/** Trust domain of a mesh without a `Mesh` object. */
export const defaultTrustDomain = 'cluster.local';

/** Of Meshwright, as in package.json. */
export const version = '0.1.0';

/** Image of the sidecar and the controller of this version. */
export const defaultImage = `meshwright/meshwright:${version}`;
