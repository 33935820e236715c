import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import type { Connection } from './connection.ts';
import { socketConnection } from './socket.ts';
import { type PeerVerifier, peerIdentity, secureContextOptions, type TlsIdentity } from './tls.ts';

/** Takes an accepted connection. `protocol` is what ALPN agreed on. */
export type Accept = (connection: Connection, protocol: string | undefined) => void;

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
  /** Hears of peers that were refused, for metrics and logs. */
  onRefused(error: Error, remoteAddress: string | undefined): void;
}

/** Accepts plain connections. Rejects when the address cannot be had. */
export async function listenPlain(options: ListenOptions, accept: Accept): Promise<Listener> {
  const server = createTcpServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    accept(socketConnection(socket), undefined);
  });
  return listen(server, options);
}

/** Accepts mutual TLS only: a peer without a verified certificate of the trust domain never reaches `accept`. */
export async function listenTls(options: TlsListenOptions, accept: Accept): Promise<TlsListener> {
  const server: TlsServer = createTlsServer({
    ...secureContextOptions(options.identity),
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: [...options.alpn],
    handshakeTimeout: options.handshakeTimeout,
    allowHalfOpen: true,
    noDelay: true,
  });
  server.on('secureConnection', (socket) => {
    const identity = peerIdentity(socket, options.verify);
    if (!identity) {
      socket.on('error', () => {});
      socket.destroy();
      options.onRefused(new Error('the certificate carries no identity of this trust domain'), socket.remoteAddress);
      return;
    }
    accept(socketConnection(socket, identity), socket.alpnProtocol || undefined);
  });
  server.on('tlsClientError', (error, socket) => {
    socket.on('error', () => {});
    socket.destroy();
    options.onRefused(error, socket.remoteAddress);
  });
  const listener = await listen(server, options);
  return { ...listener, setIdentity: (identity) => server.setSecureContext(secureContextOptions(identity)) };
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
