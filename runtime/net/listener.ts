import { type AddressInfo, createServer as createTcpServer, isIPv6, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Clock } from '../model/index.ts';
import { beginsWithTls, parseClientHello } from './client-hello.ts';
import type { Connection } from './connection.ts';
import type { Destination, DestinationReader } from './original-destination.ts';
import { readProxyHeader } from './proxy-header.ts';
import { reportFault, socketConnection } from './socket.ts';
import { type PeerVerifier, peerIdentity, secureContextOptions, type TlsIdentity } from './tls.ts';

/** An accepted connection. */
export interface Accepted {
  readonly connection: Connection;
  /** What ALPN agreed on. */
  readonly protocol: string | undefined;
  /** Where it was meant to go; on listeners that connections are redirected to. */
  readonly destination?: Destination;
  /** It had to begin with a PROXY header, so that where its client is may be what it claims. */
  readonly proxied: boolean;
  /** Runs `callback` when the connection has closed, whoever handles it by then. */
  onceClosed(callback: () => void): void;
}

export type Accept = (accepted: Accepted) => void;

export interface Listener {
  readonly address: { readonly host: string; readonly port: number };
  /** From now on; see {@link ListenOptions}. */
  setMaxConnections(count: number): void;
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
  readonly clock: Clock;
  /** Other processes listen on the same address, and the kernel spreads connections over all (`SO_REUSEPORT`). */
  readonly reusePort?: boolean;
  /** For listeners that connections are redirected to. One that was not redirected has nowhere to go and is closed. */
  readonly destinationOf?: DestinationReader;
}

/** How plain text is accepted. */
export interface PlainText {
  /**
   * Milliseconds. Who wants TLS speaks first, so a client that says nothing for so long waits for the server to speak
   * first, in plain text.
   */
  readonly silence: number;
  /**
   * Set where the application may speak TLS of its own: only TLS that offers this protocol (ALPN) is for the proxy,
   * other TLS is as plain text.
   */
  readonly meshProtocol?: string;
  /** Set where plain text must begin with a PROXY header; milliseconds for all of it. */
  readonly proxyHeader?: number;
}

export interface TlsListenOptions extends ListenOptions {
  readonly identity: TlsIdentity;
  readonly verify: PeerVerifier;
  readonly alpn: readonly string[];
  /** Milliseconds for the handshake. */
  readonly handshakeTimeout: number;
  /** Whether a peer that begins with anything but TLS is accepted; asked for each connection. */
  plainText(destination: Destination | undefined): PlainText | undefined;
  /** Hears of peers that were refused, for metrics and logs. */
  onRefused(error: Error, remoteAddress: string | undefined): void;
  /** Hears of plain text without a proper PROXY header. */
  readonly onHeaderRefused?: (error: Error) => void;
}

export interface PlainListenOptions extends ListenOptions {
  /**
   * Milliseconds for the PROXY header that a connection must begin with, and `undefined` where it has none; asked for
   * each connection.
   */
  readonly proxyHeader?: () => number | undefined;
  /** Hears of connections without a proper one. */
  readonly onRefused?: (error: Error) => void;
}

/** Accepts plain connections. Rejects when the address cannot be had. */
export async function listenPlain(options: PlainListenOptions, accept: Accept): Promise<Listener> {
  return listen(options, (socket, destination) => {
    const refuse = (error: Error): void => drop(socket, error, options.onRefused);
    servePlain(socket, destination, options.proxyHeader?.(), options.clock, accept, refuse);
  });
}

/** Takes off the PROXY header first, where there must be one. */
function servePlain(
  socket: Socket,
  destination: Destination | undefined,
  proxyHeader: number | undefined,
  clock: Clock,
  accept: Accept,
  refuse: (error: Error) => void,
): void {
  const proxied = proxyHeader !== undefined;
  const take = (client?: string): void => serve(plain(socket, destination, proxied, client), accept);
  if (proxyHeader === undefined) take();
  else readProxyHeader(socket, proxyHeader, clock, take, refuse);
}

function drop(socket: Socket, error: Error, tell?: (error: Error) => void): void {
  socket.on('error', () => {});
  socket.destroy();
  tell?.(error);
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
 * Plain text does only where `plainText` says so, and has no identity.
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
    const { remoteAddress } = socket;
    drop(socket, error, () => options.onRefused(error, remoteAddress));
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
      destination: options.destinationOf?.(socket),
      proxied: false,
      onceClosed: (done: () => void) => socket.once('close', done),
    };
    serve(accepted, accept);
  });
  tls.on('tlsClientError', (error, socket) => refuse(socket, error));

  const listener = await listen(options, (socket, destination) => {
    const plainText = options.plainText(destination);
    if (!plainText) {
      tls.emit('connection', socket);
      return;
    }
    const begins = (withTls: boolean): void => {
      if (withTls) {
        tls.emit('connection', socket);
      } else {
        socket.resume();
        const refused = (error: Error): void => drop(socket, error, options.onHeaderRefused);
        servePlain(socket, destination, plainText.proxyHeader, options.clock, accept, refused);
      }
    };
    peek(socket, plainText, begins, (error) => refuse(socket, error));
  });
  return { ...listener, setIdentity: (identity) => tls.setSecureContext(secureContextOptions(identity)) };
}

/**
 * Looks whether a connection begins with TLS that is for the proxy; see {@link PlainText}. Who leaves without a word
 * is refused.
 */
function peek(
  socket: Socket,
  { silence, meshProtocol }: PlainText,
  begins: (withTls: boolean) => void,
  refuse: (error: Error) => void,
): void {
  let seen: Buffer | undefined;
  const stop = (): void => {
    socket.setTimeout(0);
    socket.off('data', onData).off('timeout', onSilence).off('end', onEnd).off('error', onError);
  };
  const settle = (withTls: boolean): void => {
    stop();
    socket.pause();
    if (seen) socket.unshift(seen);
    begins(withTls);
  };
  const onData = (chunk: Buffer): void => {
    seen = seen ? Buffer.concat([seen, chunk]) : chunk;
    const withTls = isForProxy(seen, meshProtocol);
    if (withTls !== undefined) settle(withTls);
  };
  const onSilence = (): void => settle(false);
  const onEnd = (): void => {
    stop();
    refuse(new Error('the peer left without a word'));
  };
  const onError = (error: Error): void => {
    stop();
    refuse(error);
  };
  socket.setTimeout(silence);
  socket.on('data', onData).on('timeout', onSilence).on('end', onEnd).on('error', onError);
}

/** `undefined` while too little is there to tell. */
function isForProxy(seen: Buffer, meshProtocol: string | undefined): boolean | undefined {
  if (!beginsWithTls(seen)) return false;
  if (meshProtocol === undefined) return true;
  const hello = parseClientHello(seen);
  return hello === 'incomplete' ? undefined : (hello?.protocols.includes(meshProtocol) ?? false);
}

function plain(
  socket: Socket,
  destination: Destination | undefined,
  proxied: boolean,
  client: string | undefined,
): Accepted {
  return {
    connection: socketConnection(socket, undefined, client),
    protocol: undefined,
    destination,
    proxied,
    onceClosed: (done) => socket.once('close', done),
  };
}

async function listen(
  options: ListenOptions,
  take: (socket: Socket, destination: Destination | undefined) => void,
): Promise<Listener> {
  const { host, port, maxConnections, destinationOf, reusePort = false } = options;
  const server = createTcpServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const destination = destinationOf?.(socket);
    if (!destinationOf || (destination && !isHere(socket, destination))) {
      take(socket, destination);
      return;
    }
    socket.on('error', () => {});
    socket.destroy();
  });
  server.maxConnections = maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // An IPv6 socket that took IPv4 as well would have addresses and destinations of both kinds to tell apart.
    server.listen({ host, port, backlog: 1024, ipv6Only: isIPv6(host), reusePort }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  // After listening only accept errors arrive here (EMFILE); the connection is lost, the listener lives on.
  server.on('error', () => {});
  const address = server.address() as AddressInfo;
  return {
    address: { host: address.address, port: address.port },
    setMaxConnections(count) {
      server.maxConnections = count;
    },
    close: () => server.close(),
  };
}

/** To pass such a connection on would lead back here, again and again. */
function isHere(socket: Socket, { host, port }: Destination): boolean {
  return socket.localPort === port && socket.localAddress === host;
}
