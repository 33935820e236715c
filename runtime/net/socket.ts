import type { Socket } from 'node:net';
import type { Connection, ConnectionHandler, Lender } from './connection.ts';
import { takeReads } from './read-buffer.ts';
import { type SocketWriter, socketWriter } from './socket-writer.ts';

/** Drops what arrives before a codec takes the connection over. */
const unattended: ConnectionHandler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };

class SocketConnection implements Connection {
  handler: ConnectionHandler = unattended;
  readonly peerIdentity: string | undefined;
  readonly remoteAddress: string;
  readonly #socket: Socket;
  readonly #writer: SocketWriter;
  #error: Error | undefined;

  constructor(socket: Socket, peerIdentity: string | undefined, client: string | undefined) {
    this.#socket = socket;
    this.peerIdentity = peerIdentity;
    this.remoteAddress = client ?? `${socket.remoteAddress}:${socket.remotePort}`;
    takeReads(socket, (chunk) => {
      try {
        this.handler.onData(chunk);
      } catch (error) {
        this.#fault(error);
      }
    });
    socket.on('end', () => this.#guard(() => this.handler.onEnd()));
    this.#writer = socketWriter(socket, () => this.#guard(() => this.handler.onDrain()));
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('close', () => {
      this.#writer.closed();
      this.#guard(() => this.handler.onClose(this.#error));
    });
  }

  write(data: Buffer | string, lender?: Lender): boolean {
    return this.#writer.write(data, lender);
  }

  end(): void {
    this.#writer.end();
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

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#fault(error);
    }
  }

  /** What happens on one connection must not end the others: a handler that throws loses its connection. */
  #fault(error: unknown): void {
    reportFault(error);
    this.destroy(error instanceof Error ? error : undefined);
  }
}

/** Tells of a fault of ours that was contained; whoever runs the process hears it as its `warning` event. */
export function reportFault(error: unknown): void {
  process.emitWarning(String((error as Error | undefined)?.stack ?? error), 'MeshwrightFault');
}

/**
 * Makes a {@link Connection} of an open socket. The socket must allow half-open use (`allowHalfOpen`), and
 * `TCP_NODELAY` should be on. `client` is who is at its end, as `host:port`, where a proxy stands between.
 */
export function socketConnection(socket: Socket, peerIdentity?: string, client?: string): Connection {
  return new SocketConnection(socket, peerIdentity, client);
}
