import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type SecureContext, TLSSocket } from 'node:tls';
import type { Clock } from '../model/index.ts';
import type { Connection } from './connection.ts';
import { reportFault, socketConnection } from './socket.ts';
import { type PeerVerifier, peerIdentity } from './tls.ts';

/** Who must be at the other end, and how to prove ourselves to it. */
export interface PeerExpectation {
  readonly context: SecureContext;
  /** The SPIFFE id its certificate must carry. */
  readonly identity: string;
  readonly verify: PeerVerifier;
  readonly alpn: string | undefined;
}

/** Who is at the other end is not asked, and we prove nothing to it: for connections that never leave the pod. */
export interface UnverifiedPeer {
  readonly unverified: true;
  readonly context: SecureContext;
  /** What it must speak; only HTTP/1.1 may go without saying. */
  readonly alpn: string;
}

/** A server that was not to be verified speaks no TLS, or another protocol within it. */
export class TlsFailure extends Error {}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** Absent: plain text. */
  readonly peer?: PeerExpectation | UnverifiedPeer;
  /** Milliseconds until the connection must be usable, handshake included. */
  readonly timeout: number;
  readonly clock: Clock;
}

/** Gets the outcome of {@link connect}, exactly once. */
export type ConnectCallback = (error: Error | undefined, connection: Connection | undefined) => void;

/**
 * Connects to a peer. With `peer`, the connection is handed over only after both certificates were verified and the
 * peer's SPIFFE id is the expected one; one that is not to be verified has only to speak TLS and the protocol.
 */
export function connect(options: ConnectOptions, callback: ConnectCallback): void {
  const { host, port, peer } = options;
  let socket: Socket;
  try {
    socket = peer ? connectTls(tlsOptions(host, port, peer)) : connectTcp({ host, port, allowHalfOpen: true });
  } catch (error) {
    // An address that cannot be: a port of 70000, for example.
    callback(error as Error, undefined);
    return;
  }
  socket.setNoDelay(true);

  const secure = (): void => {
    const misunderstood = socket instanceof TLSSocket && isUnverified(peer) && misunderstanding(socket, peer.alpn);
    settle(misunderstood || undefined);
  };
  const closed = (): void => settle(new Error(`${host}:${port} closed the connection during the handshake`));
  const settle = (error: Error | undefined): void => {
    timer.cancel();
    socket
      .off(peer ? 'secureConnect' : 'connect', secure)
      .off('error', settle)
      .off('close', closed);
    if (error) {
      socket.on('error', () => {});
      socket.destroy();
      callback(isUnverified(peer) ? explain(error) : error, undefined);
      return;
    }
    const identity =
      socket instanceof TLSSocket && peer && !isUnverified(peer) ? peerIdentity(socket, peer.verify) : undefined;
    const connection = socketConnection(socket, identity);
    try {
      callback(undefined, connection);
    } catch (fault) {
      reportFault(fault);
      connection.destroy();
    }
  };
  const timer = options.clock.schedule(options.timeout, () =>
    settle(new Error(`no connection to ${host}:${port} within ${options.timeout} ms`)),
  );
  socket
    .once(peer ? 'secureConnect' : 'connect', secure)
    .once('error', settle)
    .once('close', closed);
}

function isUnverified(peer: PeerExpectation | UnverifiedPeer | undefined): peer is UnverifiedPeer {
  return peer !== undefined && 'unverified' in peer;
}

/** Servers of HTTP/1.1 need know nothing of ALPN; those of HTTP/2 must (RFC 9113 section 3.2). */
function misunderstanding({ alpnProtocol }: TLSSocket, alpn: string): Error | undefined {
  if (alpnProtocol === alpn || (!alpnProtocol && alpn === 'http/1.1')) return undefined;
  return new TlsFailure(`its TLS does not agree on ${alpn} (ALPN): it answers ${alpnProtocol || 'nothing'}`);
}

/** OpenSSL's words are for those who know its source. */
function explain(error: Error & { readonly code?: string; readonly reason?: string }): Error {
  const { code = '', reason = error.message } = error;
  if (!/^(ERR_SSL|EPROTO)/.test(code)) return error;
  const hint = /wrong.version|packet.length/i.test(reason) ? '; it seems to speak plain text' : '';
  return new TlsFailure(`its TLS handshake failed (${reason})${hint}`);
}

function tlsOptions(
  host: string,
  port: number,
  peer: PeerExpectation | UnverifiedPeer,
): ConnectionOptions & { allowHalfOpen: boolean } {
  if (isUnverified(peer)) {
    const { context: secureContext, alpn } = peer;
    return { host, port, secureContext, allowHalfOpen: true, rejectUnauthorized: false, ALPNProtocols: [alpn] };
  }
  return {
    host,
    port,
    secureContext: peer.context,
    allowHalfOpen: true,
    // Said here because NODE_TLS_REJECT_UNAUTHORIZED, inherited from somebody's shell, would have verification skipped.
    rejectUnauthorized: true,
    ...(peer.alpn ? { ALPNProtocols: [peer.alpn] } : {}),
    checkServerIdentity: (_host, certificate) => {
      const got = peer.verify(certificate.subjectaltname);
      return got === peer.identity
        ? undefined
        : new Error(`expected peer ${peer.identity}, but the certificate is of ${got ?? certificate.subjectaltname}`);
    },
  };
}
