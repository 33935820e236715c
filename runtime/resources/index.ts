export type { CircuitBreakerPolicyObject } from './circuit-breaker.ts';
export { customResourceDefinitions } from './crd.ts';
export type { FaultPolicyObject } from './fault.ts';
export type { GatewayObject } from './gateway-api.ts';
export { wantsProxy } from './injection.ts';
export type {
  Container,
  DeploymentObject,
  EndpointSliceObject,
  PodObject,
  PodTemplate,
  ServiceObject,
} from './kubernetes.ts';
export type { LoadBalancingPolicyObject } from './load-balancing.ts';
export { type Manifest, type ParsedDocuments, parseManifest } from './manifest.ts';
export type { AccessPolicyObject, AccessPolicyRule, MeshObject } from './meshwright.ts';
export type { Condition } from './metadata.ts';
export type { MtlsPolicyObject } from './mtls.ts';
export * from './names.ts';
export {
  describeObject,
  type Kind,
  type KubernetesObject,
  namespaceOf,
  type ObjectOfKind,
} from './objects.ts';
export type { OutlierDetectionPolicyObject } from './outlier-detection.ts';
export { parseObject } from './parse.ts';
export type { RateLimitPolicyObject } from './rate-limit.ts';
export type { RetryPolicyObject } from './retry.ts';
export type {
  BackendObjectRef,
  CorsFilter,
  GrpcRouteMatch,
  GrpcRouteObject,
  GrpcRouteRule,
  HeaderModifier,
  HttpBackendRef,
  HttpRouteFilter,
  HttpRouteMatch,
  HttpRouteObject,
  HttpRouteRule,
  ParentRef,
  PathModifier,
  RouteHeaderMatch,
  TcpRouteObject,
  TlsRouteObject,
} from './routes.ts';
export { isNetwork, maxTrustedProxies } from './strangers.ts';
export type { TimeoutPolicyObject } from './timeout.ts';
export { workloadName } from './workload-name.ts';
