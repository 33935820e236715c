import type { Accepted, Connection, RequestHead } from '../net/index.ts';
import type { ProxyContext } from './exchange-plan.ts';
import { type PeerAddress, type PeerLink, streamProtocol } from './peer-link.ts';
import { logRequest } from './request-log.ts';
import { type TunnelResult, tunnel } from './tunnel.ts';

/**
 * Connects to `peer` and joins it with a connection that waits. `rest` came already and goes first; `connected` hears
 * how connecting went.
 */
export function joinTcp(
  context: ProxyContext,
  link: PeerLink,
  connection: Connection,
  peer: PeerAddress,
  rest: Buffer | undefined,
  done: (result: TunnelResult) => void,
  connected?: (error: Error | undefined) => void,
): void {
  let gone = false;
  connection.pause();
  connection.handler = {
    onData() {},
    onEnd() {},
    onDrain() {},
    onClose() {
      gone = true;
    },
  };
  link.connect(peer, streamProtocol, (error, upstream) => {
    connected?.(error);
    if (!upstream || gone) {
      connection.destroy(error);
      upstream?.destroy();
      done({ sent: 0, received: 0, ...(error && { error }) });
      return;
    }
    if (rest && rest.length > 0) upstream.write(rest);
    tunnel(connection, upstream, { clock: context.clock, idleTimeout: context.limits.tcpIdleTimeout }, done);
  });
}

/** A stream, as metrics and the access log have it. */
export interface TcpStream {
  readonly service: string;
  /** Who sends it, as metrics name it. */
  readonly source: string;
  readonly mtls: boolean;
  /** The rest is for the log. Who sends it, where that says more than {@link source}. */
  readonly caller?: string;
  readonly target?: string;
  readonly route?: string;
  readonly serverName?: string;
  readonly upstream?: string;
}

/** Counts TCP streams of one kind. */
export class TcpMeter {
  readonly #context: ProxyContext;
  readonly #direction: 'inbound' | 'outbound' | 'gateway';

  constructor(context: ProxyContext, direction: 'inbound' | 'outbound' | 'gateway') {
    this.#context = context;
    this.#direction = direction;
  }

  /** Counts a stream that opens; call what it returns when the stream has closed. */
  open(stream: TcpStream): (result: TunnelResult) => void {
    const { clock, metrics } = this.#context;
    const { service, source, mtls, caller = source, target, route, upstream, serverName = '' } = stream;
    const plan = { direction: this.#direction, service, target, route, mtls };
    // A stream has no head.
    const head: RequestHead = { method: 'TCP', scheme: 'http', authority: serverName, path: '', headers: [] };
    const labels = [this.#direction, service, source, String(mtls)];
    const started = clock.now();
    metrics.tcpConnections.with(...labels).add(1);
    return ({ sent, received, error }) => {
      metrics.tcpBytes.with(...labels).add(sent + received);
      const duration = clock.now() - started;
      const what = { status: 0, duration, received: sent, sent: received, source: caller, upstream };
      logRequest(this.#context, plan, head, { ...what, error: error?.message });
    };
  }
}

/** Closes a connection that nobody will handle. */
export function turnAway({ connection }: Accepted, reason: string): void {
  connection.destroy(new Error(reason));
}
