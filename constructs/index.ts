export { App, Duration } from 'cdk8s';
export { Caller } from './caller.ts';
export type { FromNameProps, FromSelectorProps } from './existing-service.ts';
export { Gateway, GatewayListener, type GatewayProps, type ListenerProps } from './gateway.ts';
export {
  type GrpcRetryProps,
  GrpcRoute,
  type GrpcRouteParent,
  type GrpcRouteProps,
  type GrpcRule,
} from './grpc-route.ts';
export type {
  ICaller,
  IPolicyTarget,
  IRouteParent,
  IRouteTarget,
  IService,
  IServiceOf,
  IServicePort,
  ITarget,
  ServiceAccountReference,
} from './interfaces.ts';
export type { MeshLimits } from './limits.ts';
export {
  type GrpcCondition,
  GrpcMethod,
  Header,
  type HttpCondition,
  type HttpMethod,
  Match,
  Method,
  Path,
  Query,
} from './match.ts';
export { type ExistingMesh, type ExistingMeshProps, Mesh, type MeshProps } from './mesh.ts';
export * from './policy/index.ts';
export { type HttpPortOptions, Port, type PortOptions, type Ports, ServicePort } from './port.ts';
export { type HttpProtocol, type HttpRouteParent, Route, type RouteProps } from './route.ts';
export {
  type CorsOrigin,
  type CorsProps,
  type ForwardRule,
  type HeaderChanges,
  type HedgeProps,
  type MirrorProps,
  PathChange,
  type RedirectProps,
  type RedirectRule,
  type RetryProps,
  type RewriteProps,
  type RouteRule,
  type RuleProps,
} from './route-rule.ts';
export { Service, type ServiceProps } from './service.ts';
export { ServiceBase, ServiceVersion } from './service-base.ts';
export type { StrangerProps } from './strangers.ts';
export * from './synth/index.ts';
export { Target } from './target.ts';
export { TlsRoute, type TlsRouteParent, type TlsRouteProps } from './tls-route.ts';
export type { WorkloadProps } from './workload.ts';
