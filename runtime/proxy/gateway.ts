import type { Trust } from '../engine/index.ts';
import type { Accepted, RequestHead, RequestReceiver, ServerStream } from '../net/index.ts';
import { Forwarder, type ForwarderParts } from './forwarder.ts';
import { answerLocally } from './local-answer.ts';
import type { MeshView } from './mesh-view.ts';
import type { Routing } from './routing.ts';
import type { Servers } from './servers.ts';
import { admitStranger, type Strangers } from './strangers.ts';

export interface GatewayParts extends ForwarderParts {
  readonly view: MeshView;
  readonly routing: Routing;
  readonly servers: Servers;
  /** The port of the Gateway's listener. */
  readonly port: number;
}

/** What comes from outside the mesh to one listener of a gateway. */
export class GatewayListener {
  readonly #parts: GatewayParts;
  readonly #forwarder: Forwarder;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
    this.#forwarder = new Forwarder(parts, 'gateway');
  }

  /** What a client speaks is what the listener is for now; a connection goes on as it began. */
  accept(accepted: Accepted): void {
    const { view, servers, port } = this.#parts;
    const { connection } = accepted;
    const configured = view.listener(port);
    if (configured?.listener.protocol !== 'tls') {
      this.#acceptHttp(accepted);
      return;
    }
    servers.keep(accepted);
    const { connections } = configured.listener;
    this.#forwarder.forward({ service: configured.gateway, connections, caller: connection.remoteAddress }, accepted);
  }

  #acceptHttp(accepted: Accepted): void {
    const { servers, view } = this.#parts;
    const { proxied } = accepted;
    const { remoteAddress } = accepted.connection;
    let strangers: Strangers | undefined;
    let trust: Trust;
    servers.serveHttp(accepted, {
      onRequest: (head, stream, end) => {
        if (strangers !== view.strangers) {
          strangers = view.strangers;
          trust = { forwarded: strangers.trusts(remoteAddress, proxied), underscores: strangers.keepsUnderscores };
        }
        return this.#handle(head, stream, end, remoteAddress, trust);
      },
    });
  }

  #handle(head: RequestHead, stream: ServerStream, end: boolean, remoteAddress: string, trust: Trust): RequestReceiver {
    const { context, view, routing, source, port } = this.#parts;
    const configured = view.listener(port);
    if (configured?.listener.protocol !== 'http') {
      const details = `the gateway has no listener of HTTP on port ${port}`;
      const scope = { direction: 'gateway' as const, service: view.workload?.gateway ?? '' };
      const reply = { status: 503, error: 'destination_unavailable' as const, details };
      return answerLocally(context, scope, head, stream, reply, remoteAddress);
    }
    admitStranger(head, remoteAddress, trust);
    const scope = {
      direction: 'gateway' as const,
      router: configured.listener.router,
      service: configured.gateway,
      source: source(),
      listenerPort: port,
    };
    return routing.handle(scope, head, stream, end, remoteAddress);
  }
}
