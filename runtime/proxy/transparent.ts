import { formatHostPort } from '../model/index.ts';
import type { Accepted, Destination, RequestHead, RequestReceiver, ServerHandler, ServerStream } from '../net/index.ts';
import type { Destinations, EndpointPort } from './destinations.ts';
import type { DirectPlans } from './direct.ts';
import { Exchange } from './exchange.ts';
import { Inbound, type InboundParts } from './inbound.ts';
import { answerLocally } from './local-answer.ts';
import type { Outbound, OutboundParts } from './outbound.ts';
import { joinTcp, TcpMeter } from './tcp.ts';

/** How metrics name whom the mesh does not know. */
const passthrough = 'passthrough';

export interface TransparentOutboundParts extends Omit<OutboundParts, 'clusters' | 'routing'> {
  readonly outbound: Outbound;
  readonly destinations: Destinations;
  readonly direct: DirectPlans;
}

/**
 * What the application sends out unaware of its proxy. To the virtual address of a service: routed as that service's.
 * To an endpoint, or another port of its pod: there, over mutual TLS where it has an identity, without routes. Anything
 * else passes through.
 */
export class TransparentOutbound {
  readonly #parts: TransparentOutboundParts;
  readonly #meter: TcpMeter;

  constructor(parts: TransparentOutboundParts) {
    this.#parts = parts;
    this.#meter = new TcpMeter(parts.context, 'outbound');
  }

  accept(accepted: Accepted): void {
    const destination = accepted.destination!;
    const meaning = this.#parts.destinations.find(destination);
    if (!meaning) this.#join(accepted, passthrough, { ...destination, identity: undefined });
    else if (meaning.kind === 'pod') this.#join(accepted, meaning.service, meaning.peer);
    else if (meaning.kind === 'service') {
      this.#parts.outbound.acceptService(accepted, meaning.target.service, meaning.target.port);
    } else {
      this.#acceptDirect(accepted, destination, meaning.endpoint);
    }
  }

  #acceptDirect(accepted: Accepted, destination: Destination, endpoint: EndpointPort): void {
    const { service, port } = endpoint.target;
    const declared = this.#parts.view.port(service, port);
    if (!declared || declared.protocol === 'tcp') this.#join(accepted, service, endpoint.peer);
    else this.#parts.servers.serveHttp(accepted, this.#handlerFor(destination));
  }

  #join(accepted: Accepted, service: string, peer: EndpointPort['peer']): void {
    const { context, servers, link, source } = this.#parts;
    servers.keep(accepted);
    const upstream = formatHostPort(peer);
    const closed = this.#meter.open({ service, source: source(), mtls: peer.identity !== undefined, upstream });
    joinTcp(context, link, accepted.connection, peer, undefined, closed);
  }

  /** An endpoint may go and come back while the application keeps its connection. */
  #handlerFor(destination: Destination): ServerHandler {
    const { context, destinations, view, direct, source } = this.#parts;
    return {
      onRequest(head: RequestHead, stream: ServerStream, end: boolean): RequestReceiver {
        const meaning = destinations.find(destination);
        if (meaning?.kind !== 'endpoint') {
          const scope = { direction: 'outbound' as const, service: passthrough };
          const details = `${formatHostPort(destination)} is no endpoint of a service any more`;
          const reply = { status: 503, error: 'destination_unavailable' as const, details };
          return answerLocally(context, scope, head, stream, reply, source());
        }
        const { service, port } = meaning.endpoint.target;
        const plan = direct.get(meaning.endpoint, view.port(service, port)?.protocol ?? 'http');
        return new Exchange(context, plan, stream, head, end, source()).start();
      },
    };
  }
}

/** What comes to any port of the pod: each has its own stack, at the application of the same port. */
export class TransparentInbound {
  readonly #parts: Omit<InboundParts, 'port' | 'app'>;
  readonly #podIp: string;
  readonly #declared = new Map<number, Inbound>();

  constructor(parts: Omit<InboundParts, 'port' | 'app'>, podIp: string) {
    this.#parts = parts;
    this.#podIp = podIp;
  }

  accept(accepted: Accepted): void {
    this.#stackOf(accepted.destination!.port).accept(accepted);
  }

  /** Kept for declared ports only: of the others anybody can ask for as many as there are numbers. */
  #stackOf(port: number): Inbound {
    const known = this.#declared.get(port);
    if (known) return known;
    const stack = new Inbound({ ...this.#parts, port, app: formatHostPort({ host: this.#podIp, port }) });
    if (this.#parts.view.workload?.ports.some((declared) => declared.port === port)) this.#declared.set(port, stack);
    return stack;
  }
}
