import type { BackendObjectRef, GrpcRouteRule, HttpRouteMatch } from '../runtime/resources/index.ts';
import type { Backend, IServicePort, ITarget } from './interfaces.ts';
import type { HttpCondition } from './match.ts';
import type { HeaderChanges, MirrorProps, RuleProps } from './route-rule.ts';

/*
 * What HTTPRoute and GRPCRoute have in common, in the words of the Gateway API.
 */

type Filters = NonNullable<GrpcRouteRule['filters']>;

export function backendsOf(to: ITarget | readonly ITarget[] | undefined): readonly Backend[] {
  if (!to) return [];
  return ('_backend' in to ? [to] : to).map((target) => target._backend());
}

/**
 * The port of a target: the one it names, else its only one, else the one the route is on.
 *
 * @param parentPorts - the ports the route is on
 */
export function portOf(backend: Backend, parentPorts: readonly IServicePort[]): IServicePort | undefined {
  const ports = Object.values(backend.service.ports);
  if (backend.port) return backend.port;
  if (ports.length === 1) return ports[0];
  return parentPorts.length === 1 ? ports.find(({ name }) => name === parentPorts[0].name) : undefined;
}

export function renderBackends(backends: readonly Backend[], parentPorts: readonly IServicePort[]) {
  return backends.map((backend) => ({
    ...renderBackend(backend, parentPorts),
    ...(backend.weight !== undefined && { weight: backend.weight }),
  }));
}

export function renderMirror(mirror: MirrorProps | undefined, parentPorts: readonly IServicePort[]): Filters {
  if (!mirror) return [];
  const [backend] = backendsOf(mirror.to);
  const { percent } = mirror;
  return [{ type: 'RequestMirror', requestMirror: { backendRef: renderBackend(backend, parentPorts), percent } }];
}

export function renderHeaderFilters({ requestHeaders, responseHeaders }: RuleProps<unknown>): Filters {
  return [
    ...(requestHeaders
      ? [{ type: 'RequestHeaderModifier' as const, requestHeaderModifier: renderChanges(requestHeaders) }]
      : []),
    ...(responseHeaders
      ? [{ type: 'ResponseHeaderModifier' as const, responseHeaderModifier: renderChanges(responseHeaders) }]
      : []),
  ];
}

/** One alternative of an HTTP rule. */
export function renderMatch(conditions: readonly HttpCondition[]): HttpRouteMatch {
  const match: HttpRouteMatch = {};
  for (const condition of conditions) {
    switch (condition.kind) {
      case 'path':
        match.path = { type: condition.type, value: condition.value };
        break;
      case 'method':
        match.method = condition.method;
        break;
      case 'header':
        match.headers = [...(match.headers ?? []), renderValue(condition)];
        break;
      case 'query':
        match.queryParams = [...(match.queryParams ?? []), renderValue(condition)];
        break;
    }
  }
  return match;
}

export function renderValue({
  type,
  name,
  value,
}: {
  type: 'Exact' | 'RegularExpression';
  name: string;
  value: string;
}) {
  return { type, name, value };
}

function renderBackend(backend: Backend, parentPorts: readonly IServicePort[]): BackendObjectRef {
  return { name: backend.name, port: portOf(backend, parentPorts)?.port };
}

function renderChanges({ set, add, remove }: HeaderChanges) {
  return { set: set && headerList(set), add: add && headerList(add), remove: remove && [...remove] };
}

function headerList(headers: Readonly<Record<string, string>>) {
  return Object.entries(headers).map(([name, value]) => ({ name: name.toLowerCase(), value }));
}
