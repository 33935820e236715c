import type { BackendTarget, ConnectionRoutes, ObjectReference, TcpBackend, TlsRoute } from '../model/index.ts';

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

/** Longer is no host name (RFC 1035); so the search for a wildcard has an end. */
const maxNameLength = 253;

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
    route: (serverName) => (serverName === undefined ? undefined : find(names, serverName)) ?? others,
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

/** The name itself, else the wildcard that has most of it. */
function find(names: ReadonlyMap<string, ConnectionDecision>, serverName: string): ConnectionDecision | undefined {
  if (serverName.length > maxNameLength || serverName.startsWith('*')) return undefined;
  const exact = names.get(serverName);
  if (exact) return exact;
  for (let dot = serverName.indexOf('.', 1); dot >= 0; dot = serverName.indexOf('.', dot + 1)) {
    const wildcard = names.get(`*${serverName.slice(dot)}`);
    if (wildcard) return wildcard;
  }
  return undefined;
}
