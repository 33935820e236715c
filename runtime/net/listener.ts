import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Connection } from './connection.ts';
import { socketConnection } from './socket.ts';
import { type PeerVerifier, peerIdentity, secureContextOptions, type TlsIdentity } from './tls.ts';

/** An accepted connection. */
export interface Accepted {
  readonly connection: Connection;
  /** What ALPN agreed on. */
  readonly protocol: string | undefined;
  /** Runs `callback` when the connection has closed, whoever handles it by then. */
  onceClosed(callback: () => void): void;
}

export type Accept = (accepted: Accepted) => void;

/** The first byte of a TLS connection (RFC 8446 section 5.1: content type handshake). */
const tlsHandshakeRecord = 22;

export interface Listener {
  readonly address: { readonly host: string; readonly port: number };
  /** Stops accepting. Open connections are not touched. */
  close(): void;
}

export interface TlsListener extends Listener {
  /** New connections use this identity; open ones are not touched. */
  setIdentity(identity: TlsIdentity): void;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** Connections open at once; more are closed at once. */
  readonly maxConnections: number;
}

export interface TlsListenOptions extends ListenOptions {
  readonly identity: TlsIdentity;
  readonly verify: PeerVerifier;
  readonly alpn: readonly string[];
  /** Milliseconds for the handshake. */
  readonly handshakeTimeout: number;
  /** Whether a peer that begins with anything but TLS is accepted as plain text; asked for each connection. */
  acceptsPlainText(): boolean;
  /** Hears of peers that were refused, for metrics and logs. */
  onRefused(error: Error, remoteAddress: string | undefined): void;
}

/** Accepts plain connections. Rejects when the address cannot be had. */
export async function listenPlain(options: ListenOptions, accept: Accept): Promise<Listener> {
  const server = createTcpServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    accept(plain(socket));
  });
  return listen(server, options);
}

/**
 * Accepts mutual TLS: a peer that speaks TLS without a verified certificate of the trust domain never reaches `accept`.
 * Plain text does only where `acceptsPlainText` says so, and has no identity.
 */
export async function listenTls(options: TlsListenOptions, accept: Accept): Promise<TlsListener> {
  const tls = createTlsServer({
    ...secureContextOptions(options.identity),
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: [...options.alpn],
    handshakeTimeout: options.handshakeTimeout,
  });
  const refuse = (socket: Socket, error: Error): void => {
    socket.on('error', () => {});
    socket.destroy();
    options.onRefused(error, socket.remoteAddress);
  };
  tls.on('secureConnection', (socket) => {
    const identity = peerIdentity(socket, options.verify);
    if (!identity) {
      refuse(socket, new Error('the certificate carries no identity of this trust domain'));
      return;
    }
    accept({
      connection: socketConnection(socket, identity),
      protocol: socket.alpnProtocol || undefined,
      onceClosed: (done) => socket.once('close', done),
    });
  });
  tls.on('tlsClientError', (error, socket) => refuse(socket, error));

  const server = createTcpServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    if (!options.acceptsPlainText()) {
      tls.emit('connection', socket);
      return;
    }
    const failed = (error: Error): void => refuse(socket, error);
    socket.once('error', failed);
    socket.once('data', (first: Buffer) => {
      socket.pause();
      socket.off('error', failed);
      socket.unshift(first);
      if (first[0] === tlsHandshakeRecord) {
        tls.emit('connection', socket);
      } else {
        socket.resume();
        accept(plain(socket));
      }
    });
  });
  const listener = await listen(server, options);
  return { ...listener, setIdentity: (identity) => tls.setSecureContext(secureContextOptions(identity)) };
}

function plain(socket: Socket): Accepted {
  return {
    connection: socketConnection(socket),
    protocol: undefined,
    onceClosed: (done) => socket.once('close', done),
  };
}

async function listen(server: Server, options: ListenOptions): Promise<Listener> {
  server.maxConnections = options.maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: options.host, port: options.port, backlog: 1024 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  // After listening only accept errors arrive here (EMFILE); the connection is lost, the listener lives on.
  server.on('error', () => {});
  const { address, port } = server.address() as AddressInfo;
  return { address: { host: address, port }, close: () => server.close() };
}
