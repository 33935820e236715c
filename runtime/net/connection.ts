/** What happens on a connection. Each handler is called synchronously from the event loop. */
export interface ConnectionHandler {
  /** The chunk is lent for the call: who keeps any of it copies that. The next bytes of any connection overwrite it. */
  onData(chunk: Buffer): void;
  /** The peer finished writing; we may still write. */
  onEnd(): void;
  /** The peer reads again after `write` returned false. */
  onDrain(): void;
  /** Last call, exactly once. `error` is set unless both sides ended in order. */
  onClose(error?: Error): void;
}

/** Owns bytes that a connection writes. */
export interface Lender {
  /** The connection reads them no more. */
  release(): void;
}

/**
 * A byte stream with a peer. Stacks and codecs know only this, never `net.Socket`, so that tests and the in-process
 * mode can put memory where the kernel is.
 */
export interface Connection {
  handler: ConnectionHandler;
  /** The SPIFFE id the peer's certificate proved; absent on plain text. */
  readonly peerIdentity: string | undefined;
  /** Who is at the other end, as `127.0.0.1:40312`: the client, where a proxy before us tells of it. */
  readonly remoteAddress: string;
  /**
   * Returns false when the peer reads too slowly: pause until `onDrain`. Strings are latin1. The bytes of a buffer must
   * not change any more, unless a `lender` asks for them: until it is called, once, before this returns or later, at the
   * latest when the connection is closed.
   */
  write(data: Buffer | string, lender?: Lender): boolean;
  /** Ends our side after what was written. */
  end(): void;
  /** Closes both sides now. */
  destroy(error?: Error): void;
  pause(): void;
  resume(): void;
}
