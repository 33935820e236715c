import type { Accepted, Connection } from '../net/index.ts';
import { isoTime } from '../telemetry/index.ts';
import type { ProxyContext } from './exchange-plan.ts';
import type { PeerAddress, PeerLink } from './peer-link.ts';
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
  link.connect(peer, undefined, (error, upstream) => {
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

/** Counts TCP streams of one kind. */
export class TcpMeter {
  readonly #context: ProxyContext;
  readonly #direction: 'inbound' | 'outbound';

  constructor(context: ProxyContext, direction: 'inbound' | 'outbound') {
    this.#context = context;
    this.#direction = direction;
  }

  /** Counts a stream that opens; call what it returns when the stream has closed. */
  open(service: string, source: string, mtls: boolean): (result: TunnelResult) => void {
    const { clock, metrics, accessLog } = this.#context;
    const labels = [this.#direction, service, source, String(mtls)];
    const started = clock.now();
    metrics.tcpConnections.with(...labels).add(1);
    return ({ sent, received, error }) => {
      metrics.tcpBytes.with(...labels).add(sent + received);
      if (!accessLog.enabled) return;
      accessLog.log({
        timestamp: isoTime(clock.wallTime()),
        direction: this.#direction,
        method: 'TCP',
        authority: '',
        path: '',
        status: 0,
        duration_ms: Math.round((clock.now() - started) * 1000) / 1000,
        bytes_received: sent,
        bytes_sent: received,
        source,
        service,
        mtls,
        ...(error && { error: error.message }),
      });
    };
  }
}

/** Closes a connection that nobody will handle. */
export function turnAway({ connection }: Accepted, reason: string): void {
  connection.destroy(new Error(reason));
}
