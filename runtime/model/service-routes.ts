import { type HttpRule, targetsOf } from './http.ts';
import type { QualifiedName } from './reference.ts';
import type { Gateway, Service, ServicePort, TcpRoute, TlsRoute } from './resources.ts';

/** The rules of a port for callers in a namespace: those of routes that live there, else those of the service's own. */
export function rulesFor(port: ServicePort, callerNamespace: string): readonly HttpRule[] {
  return ofConsumer(port.consumerRules, callerNamespace) ?? port.rules;
}

/** What decides where the connections to a tcp port go. Empty: to the service's own endpoints. */
export interface ConnectionRoutes {
  readonly tcpRoute?: TcpRoute;
  readonly tlsRoutes?: readonly TlsRoute[];
}

/** The routes of connections to a tcp port for callers in a namespace. */
export function connectionRoutesFor(port: ServicePort, callerNamespace: string): ConnectionRoutes {
  const tcpRoute = ofConsumer(port.consumerTcpRoutes, callerNamespace);
  const tlsRoutes = ofConsumer(port.consumerTlsRoutes, callerNamespace);
  return tcpRoute || tlsRoutes ? { tcpRoute, tlsRoutes } : port;
}

/** The services that the routes of a service lead callers in a namespace to; one may stand there several times. */
export function servicesBehind({ ports }: Service, callerNamespace: string): QualifiedName[] {
  return ports.flatMap((port) => {
    const { tcpRoute, tlsRoutes = [] } = connectionRoutesFor(port, callerNamespace);
    const connections = tcpRoute ? [tcpRoute, ...tlsRoutes] : tlsRoutes;
    return [...targetsOf(rulesFor(port, callerNamespace)), ...connections.flatMap(targetsOfConnections)];
  });
}

/** The services that the listeners of a gateway lead to; one may stand there several times. */
export function servicesBehindGateway({ listeners }: Gateway): QualifiedName[] {
  return listeners.flatMap((listener) =>
    listener.protocol === 'tls'
      ? listener.tlsRoutes.flatMap(targetsOfConnections)
      : listener.virtualHosts.flatMap(({ rules }) => targetsOf(rules)),
  );
}

function targetsOfConnections({ backends }: TcpRoute): QualifiedName[] {
  return backends.flatMap(({ target }) => target?.service ?? []);
}

/** A namespace may have the name of something that every object has. */
function ofConsumer<T>(byNamespace: Readonly<Record<string, T>> | undefined, namespace: string): T | undefined {
  return byNamespace && Object.hasOwn(byNamespace, namespace) ? byNamespace[namespace] : undefined;
}
