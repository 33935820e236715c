import { proxyLimits, type StatedLimits } from '../model/index.ts';
import { defaultHttpLimits, type HttpLimits } from '../net/index.ts';

/** Bounds of a proxy; runtime/model/limits.ts says what each is. Times in milliseconds. */
export interface ProxyLimits {
  readonly http: HttpLimits;
  readonly http2: { readonly streamWindow: number; readonly connectionWindow: number };
  readonly maxConnections: number;
  readonly maxActiveRequests: number;
  readonly maxBusyRequests: number;
  readonly maxHeldBytes: number;
  readonly maxLoopDelay: number;
  readonly connectTimeout: number;
  readonly serverFirstDelay: number;
  readonly maxHttp1Connections: number;
  readonly maxHttp2Connections: number;
  readonly maxPending: number;
  readonly maxMirrored: number;
  readonly replayBytes: number;
  /** How a peer that vanished without closing is noticed: asked after a silence of `interval`, it must answer in `timeout`. */
  readonly peerKeepalive: { readonly interval: number; readonly timeout: number };
  readonly tcpIdleTimeout: number;
  readonly drainTimeout: number;
}

export const defaultProxyLimits: ProxyLimits = {
  http: defaultHttpLimits,
  http2: {
    streamWindow: proxyLimits.streamWindow.default,
    connectionWindow: proxyLimits.connectionWindow.default,
  },
  maxConnections: proxyLimits.maxConnections.default,
  maxActiveRequests: proxyLimits.maxActiveRequests.default,
  maxBusyRequests: proxyLimits.maxBusyRequests.default,
  maxHeldBytes: proxyLimits.maxHeldBytes.default,
  maxLoopDelay: proxyLimits.maxLoopDelay.default,
  connectTimeout: proxyLimits.connectTimeout.default,
  serverFirstDelay: proxyLimits.serverFirstDelay.default,
  maxHttp1Connections: proxyLimits.maxHttp1Connections.default,
  maxHttp2Connections: proxyLimits.maxHttp2Connections.default,
  maxPending: proxyLimits.maxPending.default,
  maxMirrored: proxyLimits.maxMirrored.default,
  replayBytes: proxyLimits.replayBytes.default,
  peerKeepalive: {
    interval: proxyLimits.peerKeepaliveInterval.default,
    timeout: proxyLimits.peerKeepaliveTimeout.default,
  },
  tcpIdleTimeout: proxyLimits.tcpIdleTimeout.default,
  drainTimeout: proxyLimits.drainTimeout.default,
};

/** `base`, but for what a Mesh states. */
export function withStated(base: ProxyLimits, stated: StatedLimits | undefined): ProxyLimits {
  if (!stated) return base;
  const { http, http2, peerKeepalive, ...rest } = base;
  return {
    ...replaced(rest, stated),
    http: replaced(http, stated),
    http2: replaced(http2, stated),
    peerKeepalive: {
      interval: stated.peerKeepaliveInterval ?? peerKeepalive.interval,
      timeout: stated.peerKeepaliveTimeout ?? peerKeepalive.timeout,
    },
  };
}

function replaced<Bounds extends object>(bounds: Bounds, stated: StatedLimits): Bounds {
  const given = stated as Readonly<Record<string, number | undefined>>;
  return Object.fromEntries(Object.entries(bounds).map(([name, value]) => [name, given[name] ?? value])) as Bounds;
}
