import type * as z from 'zod';
import { circuitBreakerPolicy } from './circuit-breaker.ts';
import { faultPolicy } from './fault.ts';
import { gateway, gatewayClass, referenceGrant } from './gateway-api.ts';
import {
  cronJob,
  daemonSet,
  deployment,
  endpointSlice,
  job,
  namespace,
  pod,
  service,
  serviceAccount,
  statefulSet,
} from './kubernetes.ts';
import { loadBalancingPolicy } from './load-balancing.ts';
import { accessPolicy, mesh } from './meshwright.ts';
import { mtlsPolicy } from './mtls.ts';
import { outlierDetectionPolicy } from './outlier-detection.ts';
import { rateLimitPolicy } from './rate-limit.ts';
import { retryPolicy } from './retry.ts';
import { grpcRoute, httpRoute, tcpRoute, tlsRoute } from './routes.ts';
import { timeoutPolicy } from './timeout.ts';

/** Every kind the mesh reads, by name. Kinds are unique over the groups we read. */
export const schemas = {
  Namespace: namespace,
  ServiceAccount: serviceAccount,
  Service: service,
  Pod: pod,
  Deployment: deployment,
  StatefulSet: statefulSet,
  DaemonSet: daemonSet,
  Job: job,
  CronJob: cronJob,
  EndpointSlice: endpointSlice,
  Gateway: gateway,
  GatewayClass: gatewayClass,
  ReferenceGrant: referenceGrant,
  HTTPRoute: httpRoute,
  GRPCRoute: grpcRoute,
  TCPRoute: tcpRoute,
  TLSRoute: tlsRoute,
  Mesh: mesh,
  AccessPolicy: accessPolicy,
  LoadBalancingPolicy: loadBalancingPolicy,
  RateLimitPolicy: rateLimitPolicy,
  FaultPolicy: faultPolicy,
  RetryPolicy: retryPolicy,
  MtlsPolicy: mtlsPolicy,
  CircuitBreakerPolicy: circuitBreakerPolicy,
  OutlierDetectionPolicy: outlierDetectionPolicy,
  TimeoutPolicy: timeoutPolicy,
} as const;

export type Kind = keyof typeof schemas;
/** An object the mesh reads, discriminated by `kind`. */
export type KubernetesObject = { [K in Kind]: z.infer<(typeof schemas)[K]> }[Kind];
export type ObjectOfKind<K extends Kind> = Extract<KubernetesObject, { kind: K }>;

const clusterScoped: ReadonlySet<string> = new Set<Kind>(['Namespace', 'GatewayClass']);

/** The namespace an object lives in: `default` where it says none, empty for kinds without namespace. */
export function namespaceOf(object: Pick<KubernetesObject, 'kind' | 'metadata'>): string {
  return clusterScoped.has(object.kind) ? '' : (object.metadata.namespace ?? 'default');
}

/** `HTTPRoute shop/reviews`, as findings name it. */
export function describeObject(object: Pick<KubernetesObject, 'kind' | 'metadata'>): string {
  const namespace = namespaceOf(object);
  return `${object.kind} ${namespace && `${namespace}/`}${object.metadata.name}`;
}
