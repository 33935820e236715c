import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Connection } from './connection.ts';
import { reportFault, socketConnection } from './socket.ts';
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
    serve(plain(socket), accept);
  });
  return listen(server, options);
}

/** A fault of ours costs this connection, not the listener. */
function serve(accepted: Accepted, accept: Accept): void {
  try {
    accept(accepted);
  } catch (error) {
    reportFault(error);
    accepted.connection.destroy();
  }
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
    const accepted = {
      connection: socketConnection(socket, identity),
      protocol: socket.alpnProtocol || undefined,
      onceClosed: (done: () => void) => socket.once('close', done),
    };
    serve(accepted, accept);
  });
  tls.on('tlsClientError', (error, socket) => refuse(socket, error));

  const server = createTcpServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    if (!options.acceptsPlainText()) {
      tls.emit('connection', socket);
      return;
    }
    const begins = (withTls: boolean): void => {
      if (withTls) {
        tls.emit('connection', socket);
      } else {
        socket.resume();
        serve(plain(socket), accept);
      }
    };
    peek(socket, options.handshakeTimeout, begins, (error) => refuse(socket, error));
  });
  const listener = await listen(server, options);
  return { ...listener, setIdentity: (identity) => tls.setSecureContext(secureContextOptions(identity)) };
}

/**
 * Looks whether a connection begins with TLS. Who says nothing for `timeout` milliseconds waits for the server to speak
 * first, so that it cannot want TLS; who leaves without a word is refused.
 */
function peek(
  socket: Socket,
  timeout: number,
  begins: (withTls: boolean) => void,
  refuse: (error: Error) => void,
): void {
  const stop = (): void => {
    socket.setTimeout(0);
    socket.off('data', onData).off('timeout', onSilence).off('end', onEnd).off('error', onError);
  };
  const onData = (first: Buffer): void => {
    stop();
    socket.pause();
    socket.unshift(first);
    begins(first[0] === tlsHandshakeRecord);
  };
  const onSilence = (): void => {
    stop();
    begins(false);
  };
  const onEnd = (): void => {
    stop();
    refuse(new Error('the peer left without a word'));
  };
  const onError = (error: Error): void => {
    stop();
    refuse(error);
  };
  socket.setTimeout(timeout);
  socket.on('data', onData).on('timeout', onSilence).on('end', onEnd).on('error', onError);
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
