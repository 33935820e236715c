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

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** Absent: plain text. */
  readonly peer?: PeerExpectation;
  /** Milliseconds until the connection must be usable, handshake included. */
  readonly timeout: number;
  readonly clock: Clock;
}

/** Gets the outcome of {@link connect}, exactly once. */
export type ConnectCallback = (error: Error | undefined, connection: Connection | undefined) => void;

/**
 * Connects to a peer. With `peer`, the connection is handed over only after both certificates were verified and the
 * peer's SPIFFE id is the expected one.
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

  const secure = (): void => settle(undefined);
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
      callback(error, undefined);
      return;
    }
    const identity = socket instanceof TLSSocket && peer ? peerIdentity(socket, peer.verify) : undefined;
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

function tlsOptions(host: string, port: number, peer: PeerExpectation): ConnectionOptions & { allowHalfOpen: boolean } {
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
