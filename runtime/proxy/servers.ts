import type {
  Accepted,
  Connection,
  Http1ServerHandler,
  Listener,
  ServerConnection,
  ServerHandler,
} from '../net/index.ts';
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

  /** Speaks HTTP with a connection from now on: HTTP/2 where that was agreed upon, else what its first bytes are. */
  serveHttp(accepted: Accepted, handler: ServerHandler): void {
    const { connection, protocol } = accepted;
    const admitting = this.#admitting(handler);
    const server = protocol === 'h2' ? this.#http2(connection, admitting) : this.#either(connection, admitting);
    this.#track(accepted, server);
  }

  /** Speaks HTTP inside a connection that is tracked already (after CONNECT). */
  upgradeToHttp(connection: Connection, handler: ServerHandler): void {
    this.#replace(connection, this.#either(connection, this.#admitting(handler)));
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

  /** Of HTTP clients speak first, so nobody waits to find out which version it is. */
  #either(connection: Connection, handler: ServerHandler): ServerConnection {
    const { clock, limits } = this.#context;
    const onHttp2 = (_: Connection, bytes: Buffer): void => {
      this.#replace(connection, this.#http2(connection, handler));
      connection.handler.onData(bytes);
    };
    const both: Http1ServerHandler = { ...handler, onHttp2 };
    return createHttp1Server(connection, both, { clock, limits: limits.http, scheme: 'http' });
  }

  #http2(connection: Connection, handler: ServerHandler): ServerConnection {
    const { clock, limits } = this.#context;
    return createHttp2Server(connection, handler, { clock, limits: limits.http, ...limits.http2 });
  }

  /** All that is served passes here, and nothing of the admin port does. */
  #admitting(handler: ServerHandler): ServerHandler {
    return {
      ...handler,
      onRequest: (head, stream, end) => this.#overload.refuse(head, stream) ?? handler.onRequest(head, stream, end),
    };
  }

  #replace(connection: Connection, server: Closable): void {
    this.#open.set(connection, server);
    if (this.#draining) server.drain();
  }

  #track({ connection, onceClosed }: Accepted, server: Closable): void {
    onceClosed(() => {
      this.#open.delete(connection);
      if (this.#open.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
    });
    this.#replace(connection, server);
  }
}

function opaque(connection: Connection): Closable {
  return { drain() {}, destroy: () => connection.destroy() };
}
