import type { Accepted, Connection, RequestHead } from '../net/index.ts';
import type { ProxyContext } from './exchange-plan.ts';
import { type PeerAddress, type PeerLink, streamProtocol } from './peer-link.ts';
import { logRequest } from './request-log.ts';
import { type TunnelResult, tunnel } from './tunnel.ts';

/** Connects to `peer` and joins it with a connection that waits. `rest` came already and goes first. */
export function joinTcp(
  context: ProxyContext,
  link: PeerLink,
  connection: Connection,
  peer: PeerAddress,
  rest: Buffer | undefined,
  done: (result: TunnelResult) => void,
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

/** How a stream, which has no head, stands in the access log. */
const streamHead: RequestHead = { method: 'TCP', scheme: 'http', authority: '', path: '', headers: [] };

/** Counts TCP streams of one kind. */
export class TcpMeter {
  readonly #context: ProxyContext;
  readonly #direction: 'inbound' | 'outbound';

  constructor(context: ProxyContext, direction: 'inbound' | 'outbound') {
    this.#context = context;
    this.#direction = direction;
  }

  /** Counts a stream that opens, `upstream` is for the log; call what it returns when the stream has closed. */
  open(service: string, source: string, mtls: boolean, upstream?: string): (result: TunnelResult) => void {
    const { clock, metrics } = this.#context;
    const plan = { direction: this.#direction, service, mtls };
    const labels = [this.#direction, service, source, String(mtls)];
    const started = clock.now();
    metrics.tcpConnections.with(...labels).add(1);
    return ({ sent, received, error }) => {
      metrics.tcpBytes.with(...labels).add(sent + received);
      const duration = clock.now() - started;
      const outcome = { status: 0, duration, received: sent, sent: received, source, upstream, error: error?.message };
      logRequest(this.#context, plan, streamHead, outcome);
    };
  }
}

/** Closes a connection that nobody will handle. */
export function turnAway({ connection }: Accepted, reason: string): void {
  connection.destroy(new Error(reason));
}
