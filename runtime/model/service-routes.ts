import { type HttpRule, targetsOf } from './http.ts';
import type { QualifiedName } from './reference.ts';
import type { Service, ServicePort, TcpRoute } from './resources.ts';

/** The rules of a port for callers in a namespace: those of routes that live there, else those of the service's own. */
export function rulesFor(port: ServicePort, callerNamespace: string): readonly HttpRule[] {
  return ofConsumer(port.consumerRules, callerNamespace) ?? port.rules;
}

/** Where the connections to a tcp port go for callers in a namespace; `undefined` is to the service's own endpoints. */
export function tcpRouteFor(port: ServicePort, callerNamespace: string): TcpRoute | undefined {
  return ofConsumer(port.consumerTcpRoutes, callerNamespace) ?? port.tcpRoute;
}

/** The services that the routes of a service lead callers in a namespace to; one may stand there several times. */
export function servicesBehind({ ports }: Service, callerNamespace: string): QualifiedName[] {
  return ports.flatMap((port) => {
    const connections = [tcpRouteFor(port, callerNamespace), ...(port.tlsRoutes ?? [])];
    const backends = connections.flatMap((route) => route?.backends ?? []);
    return [...targetsOf(rulesFor(port, callerNamespace)), ...backends.flatMap(({ target }) => target?.service ?? [])];
  });
}

/** A namespace may have the name of something that every object has. */
function ofConsumer<T>(byNamespace: Readonly<Record<string, T>> | undefined, namespace: string): T | undefined {
  return byNamespace && Object.hasOwn(byNamespace, namespace) ? byNamespace[namespace] : undefined;
}
