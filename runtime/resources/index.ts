export { type CustomResourceDefinition, customResourceDefinitions } from './crd.ts';
export type { GatewayClassObject, GatewayObject, ReferenceGrantObject } from './gateway-api.ts';
export type {
  Container,
  CronJobObject,
  DaemonSetObject,
  DeploymentObject,
  EndpointSliceObject,
  JobObject,
  NamespaceObject,
  PodObject,
  PodTemplate,
  ServiceAccountObject,
  ServiceObject,
  StatefulSetObject,
} from './kubernetes.ts';
export type { AccessPolicyObject, AccessPolicyRule, LoadBalancingPolicyObject, MeshObject } from './meshwright.ts';
export type { Condition, ObjectMeta } from './metadata.ts';
export * from './names.ts';
export {
  describeObject,
  type Kind,
  type KubernetesObject,
  namespaceOf,
  type ObjectOfKind,
} from './objects.ts';
export { type ParseResult, parseObject } from './parse.ts';
export type {
  BackendObjectRef,
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
} from './routes.ts';
