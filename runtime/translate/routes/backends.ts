import { type BackendTarget, type Protocol, qualifiedName, type WeightedBackend } from '../../model/index.ts';
import type {
  BackendObjectRef,
  GrpcRouteObject,
  HttpBackendRef,
  HttpRouteObject,
  TcpRouteObject,
  TlsRouteObject,
} from '../../resources/index.ts';
import { isServiceRef, namespaceOfRef } from '../references.ts';
import type { ServiceEntries } from '../services.ts';
import { headerChange } from './filters.ts';
import { headerProblem } from './values.ts';

export type RouteObject = HttpRouteObject | GrpcRouteObject | TcpRouteObject | TlsRouteObject;

/** Whether routes of a kind hold for what a port speaks. */
export function speaks(kind: RouteObject['kind'], protocol: Protocol): boolean {
  switch (kind) {
    case 'GRPCRoute':
      return protocol === 'grpc' || protocol === 'http2';
    case 'HTTPRoute':
      return protocol !== 'tcp';
    default:
      return protocol === 'tcp';
  }
}

/** Why a reference leads nowhere, in words of the Gateway API's `ResolvedRefs` condition. */
export interface BackendProblem {
  readonly reason: 'BackendNotFound' | 'RefNotPermitted' | 'InvalidKind' | 'UnsupportedProtocol' | 'UnsupportedValue';
  readonly message: string;
}

type Resolution =
  | { readonly target: BackendTarget; readonly problem?: undefined }
  | { readonly target?: undefined; readonly problem: BackendProblem };

export interface BackendContext {
  readonly services: ServiceEntries;
  /** Whether a route may lead there. */
  permit(route: RouteObject, ref: BackendObjectRef): boolean;
}

export function resolveBackend(
  route: RouteObject,
  ref: BackendObjectRef,
  { services, permit }: BackendContext,
): Resolution {
  const fail = (reason: BackendProblem['reason'], message: string): Resolution => ({ problem: { reason, message } });
  if (!isServiceRef(ref))
    return fail('InvalidKind', `${ref.group ?? ''}/${ref.kind} is not a kind of backend; use a Service`);
  const name = qualifiedName(namespaceOfRef(ref, route), ref.name);
  // Before anything else: whoever may not refer to it must not learn whether it exists.
  if (!permit(route, ref)) return fail('RefNotPermitted', `no ReferenceGrant allows a reference to Service ${name}`);
  const service = services.get(name);
  if (!service) return fail('BackendNotFound', services.absence(name).message);
  if (ref.port === undefined) return fail('UnsupportedValue', `the reference to Service ${name} has no port`);
  const port = service.ports.find((candidate) => candidate.port === ref.port);
  if (!port) {
    const ports = service.ports.map((candidate) => candidate.port).join(', ') || 'none';
    return fail('BackendNotFound', `Service ${name} has no port ${ref.port}; its ports: ${ports}`);
  }
  if (!speaks(route.kind, port.protocol))
    return fail('UnsupportedProtocol', `port ${ref.port} of Service ${name} speaks ${port.protocol}`);
  return { target: { service: name, port: ref.port } };
}

/** A share of a rule's requests; one that leads nowhere keeps its weight, and its requests are answered 500. */
export function weightedBackend(
  route: HttpRouteObject | GrpcRouteObject,
  ref: HttpBackendRef,
  context: BackendContext,
): { backend: WeightedBackend; problem?: BackendProblem } {
  const weight = ref.weight ?? 1;
  const resolution = resolveBackend(route, ref, context);
  const foreign = ref.filters?.find(
    ({ type }) => type !== 'RequestHeaderModifier' && type !== 'ResponseHeaderModifier',
  );
  const requestHeaders = ref.filters?.find(({ type }) => type === 'RequestHeaderModifier')?.requestHeaderModifier;
  const responseHeaders = ref.filters?.find(({ type }) => type === 'ResponseHeaderModifier')?.responseHeaderModifier;
  const unsupported = foreign
    ? `filter ${foreign.type} cannot be used on a backendRef`
    : ((requestHeaders && headerProblem(requestHeaders)) ?? (responseHeaders && headerProblem(responseHeaders)));
  const problem: BackendProblem | undefined =
    resolution.problem ??
    (unsupported === undefined ? undefined : { reason: 'UnsupportedValue', message: unsupported });
  if (problem) return { backend: { problem: `${problem.reason}: ${problem.message}`, weight }, problem };

  return {
    backend: {
      target: resolution.target,
      weight,
      ...(requestHeaders ? { requestHeaders: headerChange(requestHeaders) } : {}),
      ...(responseHeaders ? { responseHeaders: headerChange(responseHeaders) } : {}),
    },
  };
}
