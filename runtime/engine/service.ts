import type { Gateway, GatewayListener, HttpRule, QualifiedName, Service, ServicePort } from '../model/index.ts';
import { type ConnectionRouter, compileConnections } from './connection-router.ts';
import { compileRules, compileVirtualHosts, type Router } from './router.ts';

/** Compiles the rules of a service's port; where there are none, requests go to the service's own endpoints. */
export function compileServicePort(service: QualifiedName, port: ServicePort): Router {
  return compileRules(port.rules.length > 0 ? port.rules : [toOwnEndpoints(service, port.port)]);
}

function toOwnEndpoints(service: QualifiedName, port: number): HttpRule {
  const [namespace, name] = service.split('/');
  return {
    route: { kind: 'Service', namespace, name },
    name: 'default',
    matches: [{ path: { kind: 'prefix', value: '/' }, headers: [], query: [] }],
    mirrors: [],
    timeouts: {},
    action: { kind: 'forward', backends: [{ target: { service, port }, weight: 1 }] },
  };
}

/** What a port of a gateway does: requests are told apart by their host, TLS by the server that its handshake names. */
export type CompiledListener = { readonly proxyProtocol: boolean } & (
  | { readonly protocol: 'http'; readonly router: Router }
  | { readonly protocol: 'tls'; readonly connections: ConnectionRouter }
);

/** Compiles a gateway's listeners by their port: those that share one speak the same. */
export function compileListeners(gateway: Gateway): ReadonlyMap<number, CompiledListener> {
  const byPort = Map.groupBy(gateway.listeners, ({ port }) => port);
  return new Map(Array.from(byPort, ([port, listeners]) => [port, compilePort(listeners)]));
}

function compilePort(listeners: readonly GatewayListener[]): CompiledListener {
  const tlsRoutes = listeners.flatMap((each) => (each.protocol === 'tls' ? each.tlsRoutes : []));
  const proxyProtocol = listeners.some((each) => each.proxyProtocol);
  if (listeners[0].protocol === 'tls') {
    return { protocol: 'tls', proxyProtocol, connections: compileConnections({ tlsRoutes }) };
  }
  const virtualHosts = listeners.flatMap((each) => (each.protocol === 'http' ? each.virtualHosts : []));
  return { protocol: 'http', proxyProtocol, router: compileVirtualHosts(virtualHosts) };
}

/** The host names and addresses by which a caller in `namespace` reaches a service. */
export function hostsOf({ name, hosts, addresses }: Service, namespace?: string): readonly string[] {
  const [ownNamespace, short] = name.split('/');
  return [...hosts, ...addresses, ...(ownNamespace === namespace ? [short] : [])];
}
