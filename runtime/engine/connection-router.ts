import type { BackendTarget, ConnectionRoutes, ObjectReference, TcpBackend, TlsRoute } from '../model/index.ts';
import { findByHost } from './host-names.ts';

/** Where a connection goes; `route` is absent where none says so and it goes to the service's own endpoints. */
export interface ConnectionDecision {
  readonly route?: ObjectReference;
  readonly backends: readonly TcpBackend[];
  /** The name or wildcard of a TLSRoute that decided. */
  readonly serverName?: string;
}

/** Decides where the connections to one port go. */
export interface ConnectionRouter {
  /** Whether it wants to know which server a TLS handshake names. */
  readonly byServerName: boolean;
  /** Whether a connection that names no server goes anywhere. */
  readonly takesUnnamed: boolean;
  /** `serverName` in lower case, absent where there is no TLS or it names none; `undefined` is to be closed. */
  route(serverName: string | undefined): ConnectionDecision | undefined;
}

/** Compiles the routes of connections to a port. `own` is where they go if there are none. */
export function compileConnections(
  { tcpRoute, tlsRoutes = [] }: ConnectionRoutes,
  own?: BackendTarget,
): ConnectionRouter {
  const byServerName = tlsRoutes.length > 0;
  const others: ConnectionDecision | undefined =
    tcpRoute ?? (own && !byServerName ? { backends: [{ target: own, weight: 1 }] } : undefined);
  const names = byName(tlsRoutes);
  return {
    byServerName,
    takesUnnamed: others !== undefined,
    route: (serverName) => (serverName === undefined ? undefined : findByHost(names, serverName)) ?? others,
  };
}

/** Of two routes for one name the first, which is the oldest, holds. */
function byName(routes: readonly TlsRoute[]): ReadonlyMap<string, ConnectionDecision> {
  const names = new Map<string, ConnectionDecision>();
  for (const { route, backends, serverNames } of routes) {
    for (const serverName of serverNames) {
      if (!names.has(serverName)) names.set(serverName, { route, backends, serverName });
    }
  }
  return names;
}
