import type { Connection } from './connection.ts';
import type { ClientConnection, ClientConnectionOwner } from './http.ts';

/** Somebody who needs a connection for one request. Exactly one of the two is called, possibly at once. */
export interface PoolWaiter {
  /** Must call `connection.request` before it returns. */
  onConnection(connection: ClientConnection): void;
  onUnavailable(error: Error): void;
  /** Called before it has to wait; an error, which {@link onUnavailable} then gets, says that it does not. */
  onQueue?(): Error | undefined;
}

export interface PoolOptions {
  /** Connections at once, those being made included. */
  readonly maxConnections: number;
  /** Waiters at once; the next one is refused. */
  readonly maxPending: number;
  /** Asked before another connection is made than the first. */
  readonly mayConnect?: () => boolean;
  /** How many waiters one new connection will serve: 1 for HTTP/1.1. */
  readonly expectedCapacity: number;
  /** Makes a connection and speaks the protocol on it. */
  readonly connect: (callback: (error: Error | undefined, connection: Connection | undefined) => void) => void;
  readonly speak: (connection: Connection, owner: ClientConnectionOwner) => ClientConnection;
}

/** Connections to one peer, kept open and shared. The most recently used one is taken first, so that others can idle out. */
export class ConnectionPool implements ClientConnectionOwner {
  #options: PoolOptions;
  #connections = new Set<ClientConnection>();
  #available: ClientConnection[] = [];
  #waiting: PoolWaiter[] = [];
  #connecting = 0;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Connections that are open. */
  get size(): number {
    return this.#connections.size;
  }

  /** Connections that are being made. */
  get opening(): number {
    return this.#connecting;
  }

  /** Exchanges under way. */
  get active(): number {
    let active = 0;
    for (const connection of this.#connections) active += connection.active;
    return active;
  }

  /**
   * `anew`: it met a connection that the peer had closed, so the others that were idle with it are not to be trusted
   * either. A connection is made where there may be one more, or one is taken that has just answered.
   */
  acquire(waiter: PoolWaiter, anew = false): void {
    if (this.#closed) {
      waiter.onUnavailable(new Error('the endpoint is gone'));
    } else if (this.#hasAvailable() && !(anew && this.#mayGrow)) {
      this.#give(waiter, this.#available[this.#available.length - 1]);
    } else if (this.#waiting.length >= this.#options.maxPending) {
      waiter.onUnavailable(new Error(`${this.#options.maxPending} requests wait already`));
    } else {
      const refusal = waiter.onQueue?.();
      if (refusal) {
        waiter.onUnavailable(refusal);
        return;
      }
      this.#waiting.push(waiter);
      this.#grow();
    }
  }

  /** Takes back a request that waits no longer. */
  forget(waiter: PoolWaiter): void {
    const index = this.#waiting.indexOf(waiter);
    if (index >= 0) this.#waiting.splice(index, 1);
  }

  /** Lets exchanges finish and closes; takes no new ones. */
  drain(): void {
    this.#closed = true;
    for (const waiter of this.#waiting.splice(0)) waiter.onUnavailable(new Error('the endpoint is gone'));
    for (const connection of [...this.#connections]) connection.drain();
  }

  destroy(): void {
    this.drain();
    for (const connection of [...this.#connections]) connection.destroy();
  }

  onCapacity(connection: ClientConnection): void {
    if (connection.capacity > 0 && this.#connections.has(connection) && !this.#available.includes(connection)) {
      this.#available.push(connection);
      this.#serve(connection);
    }
  }

  onRetire(connection: ClientConnection): void {
    this.#connections.delete(connection);
    const index = this.#available.lastIndexOf(connection);
    if (index >= 0) this.#available.splice(index, 1);
    if (this.#waiting.length > 0) this.#grow();
  }

  #serve(connection: ClientConnection): void {
    while (this.#waiting.length > 0 && connection.capacity > 0) this.#give(this.#waiting.shift()!, connection);
    // The peer may allow less than was expected of one connection.
    if (this.#waiting.length > 0) this.#grow();
  }

  get #mayGrow(): boolean {
    return this.#connections.size + this.#connecting < this.#options.maxConnections && this.#mayConnect();
  }

  /** A peer may have lowered its limit since, or lose its patience soon. */
  #hasAvailable(): boolean {
    const available = this.#available;
    while (available.length > 0 && available[available.length - 1].capacity <= 0) available.pop();
    return available.length > 0;
  }

  #give(waiter: PoolWaiter, connection: ClientConnection): void {
    waiter.onConnection(connection);
    if (connection.capacity <= 0) {
      const index = this.#available.lastIndexOf(connection);
      if (index >= 0) this.#available.splice(index, 1);
    }
  }

  #grow(): void {
    const { expectedCapacity } = this.#options;
    while (this.#connecting * expectedCapacity < this.#waiting.length && this.#mayGrow) {
      this.#connecting++;
      this.#options.connect((error, connection) => {
        this.#connecting--;
        if (connection) this.#adopt(connection);
        else this.#fail(error ?? new Error('no connection'));
      });
    }
  }

  /** Whoever waits where there is no connection at all would wait for nothing. */
  #mayConnect(): boolean {
    const { mayConnect } = this.#options;
    return !mayConnect || this.#connections.size + this.#connecting === 0 || mayConnect();
  }

  #adopt(connection: Connection): void {
    const client = this.#options.speak(connection, this);
    this.#connections.add(client);
    if (this.#closed) client.drain();
    else this.onCapacity(client);
  }

  /** One failed attempt fails the waiters it was made for; the rest have attempts of their own under way. */
  #fail(error: Error): void {
    const failed = this.#waiting.splice(
      0,
      this.#connecting === 0 ? this.#waiting.length : this.#options.expectedCapacity,
    );
    for (const waiter of failed) waiter.onUnavailable(error);
  }
}
