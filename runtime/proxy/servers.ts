import type { Accepted, Connection, Listener, ServerConnection, ServerHandler } from '../net/index.ts';
import { createHttp1Server, createHttp2Server } from '../net/index.ts';
import type { ProxyContext } from './exchange-plan.ts';
import type { Overload } from './overload.ts';

/** Something that can be asked to end in order, and ended. */
interface Closable {
  drain(): void;
  destroy(): void;
}

/** The listeners of one direction and the open connections that they serve, so that the proxy can drain them. */
export class Servers {
  readonly #context: ProxyContext;
  readonly #overload: Overload;
  readonly #listeners: Listener[] = [];
  readonly #open = new Map<Connection, Closable>();
  #draining = false;
  #idle: (() => void)[] = [];

  constructor(context: ProxyContext, overload: Overload) {
    this.#context = context;
    this.#overload = overload;
  }

  /** To be closed when draining begins. */
  add(listener: Listener): void {
    this.#listeners.push(listener);
  }

  setMaxConnections(count: number): void {
    for (const listener of this.#listeners) listener.setMaxConnections(count);
  }

  /** Speaks HTTP with a connection from now on. */
  serveHttp(accepted: Accepted, version: 'http1' | 'http2', handler: ServerHandler): void {
    this.#track(accepted, this.#speak(accepted.connection, version, handler));
  }

  /** Speaks HTTP inside a connection that is tracked already (after CONNECT). */
  upgradeToHttp(connection: Connection, version: 'http1' | 'http2', handler: ServerHandler): void {
    this.#open.set(connection, this.#speak(connection, version, handler));
  }

  /** Keeps a connection that is tracked already and is HTTP no more (after CONNECT). */
  upgradeToTcp(connection: Connection): void {
    this.#open.set(connection, opaque(connection));
  }

  /** Keeps a connection that is not HTTP: draining leaves it alone, ending destroys it. */
  keep(accepted: Accepted): void {
    this.#track(accepted, opaque(accepted.connection));
  }

  /**
   * Accepts nothing new. Resolves when every connection has ended in order, or after `limit` milliseconds, when the rest
   * is cut.
   */
  async drain(limit: number): Promise<void> {
    this.#draining = true;
    for (const listener of this.#listeners) listener.close();
    for (const server of [...this.#open.values()]) server.drain();
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.#context.clock.schedule(limit, () => {
        for (const server of [...this.#open.values()]) server.destroy();
        resolve();
      });
      this.#idle.push(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #speak(connection: Connection, version: 'http1' | 'http2', handler: ServerHandler): ServerConnection {
    const { clock, limits } = this.#context;
    const options = { clock, limits: limits.http, scheme: 'http' as const };
    const admitting = this.#admitting(handler);
    return version === 'http2'
      ? createHttp2Server(connection, admitting, { ...options, ...limits.http2 })
      : createHttp1Server(connection, admitting, options);
  }

  /** All that is served passes here, and nothing of the admin port does. */
  #admitting(handler: ServerHandler): ServerHandler {
    return {
      ...handler,
      onRequest: (head, stream, end) => this.#overload.refuse(head, stream) ?? handler.onRequest(head, stream, end),
    };
  }

  #track({ connection, onceClosed }: Accepted, server: Closable): void {
    this.#open.set(connection, server);
    onceClosed(() => {
      this.#open.delete(connection);
      if (this.#open.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
    });
    if (this.#draining) server.drain();
  }
}

function opaque(connection: Connection): Closable {
  return { drain() {}, destroy: () => connection.destroy() };
}
