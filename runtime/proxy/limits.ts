import { defaultHttpLimits, type HttpLimits } from '../net/index.ts';

/** Bounds of a proxy. Times in milliseconds. */
export interface ProxyLimits {
  readonly http: HttpLimits;
  /** Connections a listener holds at once. */
  readonly maxConnections: number;
  /** For a connection to be usable, handshake included. */
  readonly connectTimeout: number;
  /**
   * On a TCP port that takes plain text besides mutual TLS: for a client to say something before it is taken to wait for
   * the server to speak first. A peer sends its ClientHello as soon as it is connected; the default leaves it time to
   * get a processor and to send once more what was lost (Linux does so 200 ms after the round trip).
   */
  readonly serverFirstDelay: number;
  /** HTTP/1.1 connections to one application port or plain endpoint. */
  readonly maxHttp1Connections: number;
  /** HTTP/2 connections to one endpoint; a second one is made when the first carries all streams it may. */
  readonly maxHttp2Connections: number;
  /** Requests that wait for a connection to one endpoint. */
  readonly maxPending: number;
  /** Copies of requests on their way to mirrors. */
  readonly maxMirrored: number;
  /** Bytes of a request body kept so that the request can be sent again. */
  readonly replayBytes: number;
  /** How a peer that vanished without closing is noticed: asked after a silence of `interval`, it must answer in `timeout`. */
  readonly peerKeepalive: { readonly interval: number; readonly timeout: number };
  /** A TCP stream without a byte in either direction. */
  readonly tcpIdleTimeout: number;
  /** For requests under way when the proxy is told to stop. */
  readonly drainTimeout: number;
}

export const defaultProxyLimits: ProxyLimits = {
  http: defaultHttpLimits,
  maxConnections: 20_000,
  connectTimeout: 5_000,
  serverFirstDelay: 300,
  maxHttp1Connections: 1_024,
  maxHttp2Connections: 4,
  maxPending: 1_024,
  maxMirrored: 256,
  replayBytes: 65_536,
  peerKeepalive: { interval: 10_000, timeout: 5_000 },
  tcpIdleTimeout: 3_600_000,
  drainTimeout: 25_000,
};
