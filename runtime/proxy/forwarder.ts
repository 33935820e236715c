import {
  type Breaker,
  type ConnectionDecision,
  type ConnectionRouter,
  chooseByWeight,
  type EndpointState,
} from '../engine/index.ts';
import { type BackendTarget, describeReference, formatHostPort } from '../model/index.ts';
import type { Connection } from '../net/index.ts';
import type { Clusters } from './cluster.ts';
import { noEndpoint } from './exchange-failure.ts';
import type { ProxyContext } from './exchange-plan.ts';
import { readHello } from './hello-reader.ts';
import type { PeerAddress, PeerLink } from './peer-link.ts';
import { joinTcp, TcpMeter } from './tcp.ts';
import type { TunnelResult } from './tunnel.ts';

export interface ForwarderParts {
  readonly context: ProxyContext;
  readonly clusters: Clusters;
  readonly link: PeerLink;
  /** The workload, as its own metrics name it. */
  readonly source: () => string;
}

/** The port that connections come to. */
export interface ConnectionScope {
  /** The service or gateway whose port it is. */
  readonly service: string;
  readonly connections: ConnectionRouter;
  /** Who sends, where it is not the workload itself: the address of a gateway's client. */
  readonly caller?: string;
}

/** A connection to pass on. */
export interface Incoming {
  readonly connection: Connection;
  /** What came already. */
  readonly first?: Buffer;
  /** Called before anything else is read, once it goes somewhere or must speak for that to be known. */
  accept?(): void;
  /** Called in place of closing it, where it was not accepted yet. */
  refuse?(): void;
}

/** An endpoint for one connection. */
interface Choice {
  readonly target: BackendTarget;
  readonly peer: PeerAddress;
  readonly state: EndpointState;
  readonly breaker: Breaker | undefined;
}

/** Passes connections on to where the routes of their port say. Those that may go nowhere are closed. */
export class Forwarder {
  readonly #parts: ForwarderParts;
  readonly #meter: TcpMeter;

  constructor(parts: ForwarderParts, direction: 'outbound' | 'gateway') {
    this.#parts = parts;
    this.#meter = new TcpMeter(parts.context, direction);
  }

  forward(scope: ConnectionScope, incoming: Incoming): void {
    const { connections } = scope;
    if (!connections.byServerName) {
      this.#decide(scope, incoming, undefined);
      return;
    }
    const { connection, first = Buffer.alloc(0) } = incoming;
    const { clock, limits } = this.#parts.context;
    const timeout = limits.connectTimeout;
    // Only where a server that speaks first may be meant is it worth asking soon whether the client waits for it.
    const silence = connections.takesUnnamed ? limits.serverFirstDelay : timeout;
    incoming.accept?.();
    readHello(connection, first, { clock, silence, timeout }, (beginning) => {
      if (beginning) this.#decide(scope, { connection, first: beginning.bytes }, beginning.hello?.serverName);
      else connection.destroy(new Error('the client left before its TLS handshake named a server'));
    });
  }

  #decide(scope: ConnectionScope, { connection, first, accept, refuse }: Incoming, serverName?: string): void {
    const { context, link, source } = this.#parts;
    const { service, caller } = scope;
    const decision = scope.connections.route(serverName);
    const choice = this.#choose(scope, decision, serverName);
    const stream = { service, source: source(), caller, route: nameOf(decision), serverName };
    if ('problem' in choice) {
      const error = new Error(choice.problem);
      this.#meter.open({ ...stream, mtls: false })({ sent: 0, received: 0, error });
      if (refuse) refuse();
      else connection.destroy(error);
      return;
    }
    accept?.();
    const { target, peer, state, breaker } = choice;
    const mtls = peer.identity !== undefined || peer.ownPod === true;
    const upstream = formatHostPort(peer);
    const closed = this.#meter.open({ ...stream, mtls, target: target.service, upstream });
    state.active++;
    breaker?.openStream();
    const done = (result: TunnelResult) => {
      state.active--;
      breaker?.closeStream();
      closed(result);
    };
    const connected = (error: Error | undefined) => state.conduct?.record(error ? 'gateway-error' : 'success');
    joinTcp(context, link, connection, peer, first, done, connected);
  }

  #choose(
    { service, caller }: ConnectionScope,
    decision: ConnectionDecision | undefined,
    serverName: string | undefined,
  ): Choice | { readonly problem: string } {
    const { clusters, context } = this.#parts;
    if (!decision) return { problem: `no TLSRoute is for ${serverName ?? 'a connection that names no server'}` };
    const backend = chooseByWeight(decision.backends, context.random);
    if (!backend?.target) {
      return { problem: `${nameOf(decision)}: ${backend?.problem ?? 'no backend has a weight'}` };
    }
    const { target } = backend;
    const cluster = clusters.get(target);
    const { breaker } = cluster;
    if (breaker?.isOpen('connections')) {
      const policy = describeReference(breaker.settings.policy);
      context.metrics.breakerRefusals.with(this.#parts.source(), service, target.service, policy, 'connections').add(1);
      return { problem: breaker.reason('connections') };
    }
    const choice = cluster.pickPeer(caller);
    if (choice) return { ...choice, target, breaker };
    return { problem: noEndpoint(target.service, cluster.outage).reply.details };
  }
}

function nameOf(decision: ConnectionDecision | undefined): string | undefined {
  return decision?.route && describeReference(decision.route);
}
