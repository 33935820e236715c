/** What happens on a connection. Each handler is called synchronously from the event loop. */
export interface ConnectionHandler {
  onData(chunk: Buffer): void;
  /** The peer finished writing; we may still write. */
  onEnd(): void;
  /** The peer reads again after `write` returned false. */
  onDrain(): void;
  /** Last call, exactly once. `error` is set unless both sides ended in order. */
  onClose(error?: Error): void;
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
  /** Returns false when the peer reads too slowly: pause until `onDrain`. Strings are latin1. */
  write(data: Buffer | string): boolean;
  /** Ends our side after what was written. */
  end(): void;
  /** Closes both sides now. */
  destroy(error?: Error): void;
  pause(): void;
  resume(): void;
}
