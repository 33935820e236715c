import type { Connection, ConnectionHandler, Lender } from '../../runtime/net/connection.ts';

const garbage = 0xa5;

/** Calls `take` with a copy of the chunk that is garbage after the call. */
export function lend(chunk: Buffer, take: (lent: Buffer) => void): void {
  const lent = Buffer.from(chunk);
  take(lent);
  lent.fill(garbage);
}

/** What a connection keeps that takes all at once: what was lent for it is garbage then. */
export function borrow(data: Buffer, lender: Lender | undefined): Buffer {
  if (!lender) return data;
  const taken = Buffer.from(data);
  data.fill(garbage);
  lender.release();
  return taken;
}

/**
 * Takes what is lent at its word: what a handler is given is garbage after the call, and so is what a writer lent once
 * that is released, late. Throws where bytes change that the connection still refers to.
 */
export function strict(inner: Connection): Connection {
  return new StrictConnection(inner);
}

class StrictConnection implements Connection {
  readonly #inner: Connection;

  constructor(inner: Connection) {
    this.#inner = inner;
  }

  get handler(): ConnectionHandler {
    return this.#inner.handler;
  }

  set handler(handler: ConnectionHandler) {
    this.#inner.handler = {
      onData: (chunk) => lend(chunk, (lent) => handler.onData(lent)),
      onEnd: () => handler.onEnd(),
      onDrain: () => handler.onDrain(),
      onClose: (error) => handler.onClose(error),
    };
  }

  get peerIdentity(): string | undefined {
    return this.#inner.peerIdentity;
  }

  get remoteAddress(): string {
    return this.#inner.remoteAddress;
  }

  write(data: Buffer | string, lender?: Lender): boolean {
    if (typeof data === 'string') return this.#inner.write(data);
    const given = Buffer.from(data);
    setImmediate(() => {
      if (!data.equals(given)) throw new Error('what was written has changed before it was released');
      if (!lender) return;
      data.fill(garbage);
      lender.release();
    });
    return this.#inner.write(given);
  }

  end(): void {
    this.#inner.end();
  }

  destroy(error?: Error): void {
    this.#inner.destroy(error);
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }
}
