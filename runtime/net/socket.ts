import type { Socket } from 'node:net';
import type { Connection, ConnectionHandler } from './connection.ts';

/** Drops what arrives before a codec takes the connection over. */
const unattended: ConnectionHandler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };

class SocketConnection implements Connection {
  handler: ConnectionHandler = unattended;
  readonly peerIdentity: string | undefined;
  readonly remoteAddress: string;
  #socket: Socket;
  #error: Error | undefined;

  constructor(socket: Socket, peerIdentity: string | undefined) {
    this.#socket = socket;
    this.peerIdentity = peerIdentity;
    this.remoteAddress = `${socket.remoteAddress}:${socket.remotePort}`;
    socket.on('data', (chunk: Buffer) => this.handler.onData(chunk));
    socket.on('end', () => this.handler.onEnd());
    socket.on('drain', () => this.handler.onDrain());
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('close', () => this.handler.onClose(this.#error));
  }

  write(data: Buffer | string): boolean {
    return typeof data === 'string' ? this.#socket.write(data, 'latin1') : this.#socket.write(data);
  }

  end(): void {
    this.#socket.end();
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#socket.destroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}

/**
 * Makes a {@link Connection} of an open socket. The socket must allow half-open use (`allowHalfOpen`), and
 * `TCP_NODELAY` should be on.
 */
export function socketConnection(socket: Socket, peerIdentity?: string): Connection {
  return new SocketConnection(socket, peerIdentity);
}
