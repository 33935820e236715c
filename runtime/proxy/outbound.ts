import { hostOf, portOf } from '../engine/index.ts';
import type { QualifiedName } from '../model/index.ts';
import type { Accepted, Connection, RequestHead, RequestReceiver, ServerHandler, ServerStream } from '../net/index.ts';
import type { Clusters } from './cluster.ts';
import type { ProxyContext } from './exchange-plan.ts';
import { Forwarder } from './forwarder.ts';
import { answerLocally } from './local-answer.ts';
import type { CompiledPort, MeshView } from './mesh-view.ts';
import type { PeerLink } from './peer-link.ts';
import type { Routing } from './routing.ts';
import type { Servers } from './servers.ts';
import { turnAway } from './tcp.ts';

export interface OutboundParts {
  readonly context: ProxyContext;
  readonly view: MeshView;
  readonly clusters: Clusters;
  readonly routing: Routing;
  readonly servers: Servers;
  readonly link: PeerLink;
  /** The workload, as its own metrics name it. */
  readonly source: () => string;
}

/** What the application sends out: requests are routed, TCP streams joined with an endpoint of their service. */
export class Outbound {
  readonly #parts: OutboundParts;
  readonly #forwarder: Forwarder;

  constructor(parts: OutboundParts) {
    this.#parts = parts;
    this.#forwarder = new Forwarder(parts, 'outbound');
  }

  /** A connection to one port of one service. */
  acceptService(accepted: Accepted, service: QualifiedName, port: number): void {
    const compiled = this.#parts.view.port(service, port);
    if (!compiled) turnAway(accepted, `service ${service} has no port ${port}`);
    else if (compiled.protocol === 'tcp') {
      this.#parts.servers.keep(accepted);
      this.#forwarder.forward(compiled, accepted);
    } else {
      const handler = this.#handlerFor(() => this.#parts.view.port(service, port));
      this.#parts.servers.serveHttp(accepted, handler);
    }
  }

  /** A connection of an application that was told to use us as its HTTP proxy. */
  acceptProxy(accepted: Accepted): void {
    const { view } = this.#parts;
    const handler = this.#handlerFor((head) => view.findPort(hostOf(head.authority), portOf(head.authority)));
    this.#parts.servers.serveHttp(accepted, {
      ...handler,
      onConnect: (authority: string, connection: Connection, rest: Buffer, refuse: (status: number) => void) =>
        this.#connect(authority, connection, rest, refuse),
    } as ServerHandler);
  }

  /** CONNECT names the destination of what follows; the service's declared protocol says what that is. */
  #connect(authority: string, connection: Connection, rest: Buffer, refuse: (status: number) => void): void {
    const { view, servers } = this.#parts;
    const compiled = view.findPort(hostOf(authority), portOf(authority));
    if (!compiled) {
      refuse(502);
      return;
    }
    const established = 'HTTP/1.1 200 Connection Established\r\n\r\n';
    if (compiled.protocol === 'tcp') {
      const accept = (): void => {
        connection.write(established);
        servers.upgradeToTcp(connection);
      };
      this.#forwarder.forward(compiled, { connection, first: rest, accept, refuse: () => refuse(503) });
      return;
    }
    connection.write(established);
    const { service, port } = compiled;
    servers.upgradeToHttp(
      connection,
      this.#handlerFor(() => view.port(service, port)),
    );
    if (rest.length > 0) connection.handler.onData(rest);
  }

  #handlerFor(find: (head: RequestHead) => CompiledPort | undefined): ServerHandler {
    const { context, routing, source, view } = this.#parts;
    return {
      onRequest(head: RequestHead, stream: ServerStream, end: boolean): RequestReceiver {
        const port = find(head);
        if (!port) {
          const scope = { direction: 'outbound' as const, service: 'unknown' };
          const reply = unknownDestination(head.authority, view.workload?.name ?? '');
          return answerLocally(context, scope, head, stream, reply, source());
        }
        const { router, service, port: number } = port;
        const scope = { direction: 'outbound' as const, router, service, port: number, source: source() };
        return routing.handle(scope, head, stream, end, scope.source);
      },
    };
  }
}

function unknownDestination(authority: string, workload: QualifiedName) {
  return {
    status: 502,
    error: 'destination_not_found' as const,
    details: `${authority || 'no host'} is not a service port that ${workload} may call; declare the call in its construct`,
  };
}
