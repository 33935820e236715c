import type { SecureContext } from 'node:tls';
import type { Svid } from '../identity/index.ts';
import { verifyPeerIdentity } from '../identity/index.ts';
import { type AppTls, formatSpiffeId, type Protocol } from '../model/index.ts';
import {
  type ConnectCallback,
  ConnectionPool,
  clientSecureContext,
  connect,
  createHttp1Client,
  createHttp2Client,
  IdleLimit,
  type PeerExpectation,
  type PeerVerifier,
  type TlsIdentity,
  type UnverifiedPeer,
  unverifiedContext,
} from '../net/index.ts';
import type { ProxyContext } from './exchange-plan.ts';

/**
 * What peers agree on (ALPN) for a stream of bytes. It tells their TLS from the application's own on a port that takes
 * plain text as well.
 */
export const streamProtocol = 'meshwright-tcp';

/** Where to connect and who must be there. */
export interface PeerAddress {
  readonly host: string;
  readonly port: number;
  /** The SPIFFE id to expect; absent: plain text. */
  readonly identity: string | undefined;
  /** It is the proxy's own application: what goes there never leaves the pod, and needs no TLS. */
  readonly ownPod?: true;
  /** It is the proxy's own application, which listens with TLS only. */
  readonly appTls?: AppTls;
}

/** An SVID as the TLS layer wants it. */
export function tlsIdentity(svid: Svid): TlsIdentity {
  return { key: svid.key, certificateChain: svid.certChainPem, bundle: svid.bundlePem };
}

/** Reads a peer's identity out of its certificate; only ids of our trust domain count. */
function peerVerifier(trustDomain: string): PeerVerifier {
  return (subjectAltName) => {
    const id = verifyPeerIdentity(subjectAltName, trustDomain);
    return id && formatSpiffeId(id);
  };
}

/** Makes connections to other proxies and to plain endpoints, with the proxy's newest certificate. */
export class PeerLink {
  readonly verify: PeerVerifier;
  #context: ProxyContext;
  #secureContext: SecureContext | undefined;

  constructor(context: ProxyContext, trustDomain: string) {
    this.#context = context;
    this.verify = peerVerifier(trustDomain);
  }

  /** Connections made from now on prove this identity; open ones live on. */
  setSvid(svid: Svid): void {
    this.#secureContext = clientSecureContext(tlsIdentity(svid));
  }

  connect(peer: PeerAddress, alpn: 'h2' | 'http/1.1' | typeof streamProtocol, callback: ConnectCallback): void {
    const { host, port, identity, appTls } = peer;
    let expectation: PeerExpectation | UnverifiedPeer | undefined;
    if (appTls) {
      expectation = { unverified: true, context: unverifiedContext(), alpn };
    } else if (identity) {
      if (!this.#secureContext) {
        callback(new Error('this proxy has no certificate yet'), undefined);
        return;
      }
      expectation = { context: this.#secureContext, identity, verify: this.verify, alpn };
    }
    const { clock, limits } = this.#context;
    connect({ host, port, peer: expectation, timeout: limits.connectTimeout, clock }, callback);
  }

  /** A pool of HTTP connections: HTTP/2 to peers and to backends that speak it, else HTTP/1.1. */
  pool(peer: PeerAddress, protocol: Protocol, mayConnect: () => boolean): ConnectionPool {
    const context = this.#context;
    const { clock } = context;
    const http2 = peer.identity !== undefined || protocol === 'http2' || protocol === 'grpc';
    const idle = new IdleLimit();
    // A pool may outlive the limits that it began with.
    return new ConnectionPool({
      get maxConnections() {
        return http2 ? context.limits.maxHttp2Connections : context.limits.maxHttp1Connections;
      },
      get maxPending() {
        return context.limits.maxPending;
      },
      get expectedCapacity() {
        return http2 ? context.limits.http.maxConcurrentStreams : 1;
      },
      mayConnect,
      connect: (callback) => this.connect(peer, http2 ? 'h2' : 'http/1.1', callback),
      speak: (connection, owner) => {
        const { http, http2: windows, peerKeepalive } = context.limits;
        const options = { clock, limits: http };
        if (!http2) return createHttp1Client(connection, owner, { ...options, idle });
        // Some servers refuse requests whose scheme is not that of their connection (RFC 9113 section 8.3.1).
        const scheme = peer.appTls && ('https' as const);
        // Only peers: an application may take it amiss to be asked often (gRPC servers do).
        const keepalive = peer.identity === undefined ? undefined : peerKeepalive;
        return createHttp2Client(connection, owner, {
          ...options,
          ...windows,
          ...(keepalive && { keepalive }),
          scheme,
        });
      },
    });
  }
}
