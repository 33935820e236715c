import { proxyLimits } from '../model/index.ts';

/**
 * Header fields as a flat list `[name, value, name, value, …]`: names lower-case, no pseudo headers, no `host`, no
 * hop-by-hop fields (RFC 9110 section 7.6.1). The codecs take them out and put their own in.
 */
export type HeaderList = string[];

export interface RequestHead {
  readonly method: string;
  scheme: 'http' | 'https';
  /** Host with optional port, as the client wrote it, lower-cased. Empty only for HTTP/1.0. */
  authority: string;
  /** Path with query, in origin form. `*` for OPTIONS; empty for CONNECT. */
  path: string;
  headers: HeaderList;
  /**
   * The protocol the client would speak from here on, `websocket` mostly (RFC 9110 section 7.8, RFC 8441). The method is
   * then GET and there is no body. After a response with status 101 both sides' bodies are the two directions of a
   * tunnel, each with an end of its own; any other response is an ordinary one, and ends the matter.
   */
  readonly upgrade?: string;
}

export interface ResponseHead {
  /** 101 is final, and answers upgrades only. */
  readonly status: number;
  headers: HeaderList;
}

/** Why a message ended before its end. */
export type ResetReason =
  /** The peer certainly did not process the request: safe to send elsewhere (RFC 9113 section 8.7). */
  | 'refused'
  /** The reader no longer wants it. */
  | 'cancelled'
  /** The connection broke. */
  | 'connection'
  /** The peer gave it up, for a reason that is none of these. */
  | 'reset'
  /** The peer broke the protocol, as we have seen ourselves. */
  | 'protocol'
  /** The peer does not take upgrades. */
  | 'unsupported'
  /** Ours: a fault on this side. */
  | 'internal';

/** Interim responses to one request, at most: they pass on without waiting for whoever reads them. */
export const maxInformational = 32;

/** Receives the body of a message. After `onEnd` or `onReset` nothing more is called. */
export interface BodyReceiver {
  /** The chunk is lent for the call: who keeps any of it copies that. */
  onData(chunk: Buffer): void;
  onEnd(trailers: HeaderList | undefined): void;
  onReset(reason: ResetReason): void;
}

/** Receives what belongs to a response. */
export interface ResponseReceiver extends BodyReceiver {
  /** 1xx other than 101. */
  onInformational(head: ResponseHead): void;
  /** With `end`, the response has no body and neither `onData` nor `onEnd` follows. */
  onResponse(head: ResponseHead, end: boolean): void;
  /** The request body may be written on after `write` returned false. */
  onDrain(): void;
}

/** Receives what belongs to a request, on the server. */
export interface RequestReceiver extends BodyReceiver {
  /** The response body may be written on after `write` returned false. */
  onDrain(): void;
}

/** Writes the body of a message and controls the flow of the one that comes the other way. */
export interface Stream {
  /**
   * Returns false when the peer is slow: stop until `onDrain`. The bytes are taken in any case, and the chunk is the
   * caller's again.
   */
  write(chunk: Buffer): boolean;
  end(trailers?: HeaderList): void;
  /** Gives the exchange up, both directions. Nothing more is called on the receiver. */
  reset(reason: ResetReason): void;
  /** Stops and restarts the incoming body; a bounded amount may still arrive after `pause`. */
  pause(): void;
  resume(): void;
}

/** The server's side of one exchange. */
export interface ServerStream extends Stream {
  informational(head: ResponseHead): void;
  /** Called once. With `end`, there is no body. */
  respond(head: ResponseHead, end: boolean): void;
}

/** The client's side of one exchange. */
export type ClientStream = Stream;

/** Handles the requests of one connection. */
export interface ServerHandler {
  /** With `end`, the request has no body and neither `onData` nor `onEnd` follows. */
  onRequest(head: RequestHead, stream: ServerStream, end: boolean): RequestReceiver;
}

/** A connection that requests can be sent on. */
export interface ClientConnection {
  /** How many more requests it takes now: 0 or 1 for HTTP/1.1, up to the peer's limit for HTTP/2. */
  readonly capacity: number;
  /** Exchanges under way. */
  readonly active: number;
  request(head: RequestHead, end: boolean, receiver: ResponseReceiver): ClientStream;
  /** Takes no new request and closes when the last one ends. */
  drain(): void;
  destroy(): void;
}

/** What the owner of a {@link ClientConnection} (a pool) hears. */
export interface ClientConnectionOwner {
  /** `capacity` rose: an exchange ended, or the peer raised its limit. */
  onCapacity(connection: ClientConnection): void;
  /** No more requests on it: it closed, or said it will. Called once. */
  onRetire(connection: ClientConnection): void;
}

/** The server's side of a connection, whatever protocol. */
export interface ServerConnection {
  readonly active: number;
  /** Answers what came, tells the peer to go (`connection: close`, GOAWAY), then closes. */
  drain(): void;
  destroy(): void;
}

/** Bounds that keep a peer from costing too much. */
export interface HttpLimits {
  /** Bytes of a message head, after decompression. 431 beyond. */
  readonly maxHeadBytes: number;
  /** Fields of a head. 431 beyond. */
  readonly maxHeaders: number;
  /** Milliseconds for a head to arrive once its first byte has. 408 beyond. */
  readonly headTimeout: number;
  /** Milliseconds without an exchange before the connection is closed. */
  readonly idleTimeout: number;
  /** Milliseconds an exchange may make no progress in either direction. Tunnels are watched by who opened them. */
  readonly streamIdleTimeout: number;
  /** HTTP/2: streams a peer may open at once. */
  readonly maxConcurrentStreams: number;
}

export const defaultHttpLimits: HttpLimits = {
  maxHeadBytes: proxyLimits.maxHeadBytes.default,
  maxHeaders: proxyLimits.maxHeaders.default,
  headTimeout: proxyLimits.headTimeout.default,
  idleTimeout: proxyLimits.idleTimeout.default,
  streamIdleTimeout: proxyLimits.streamIdleTimeout.default,
  maxConcurrentStreams: proxyLimits.maxConcurrentStreams.default,
};
