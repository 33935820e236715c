import type { Clock } from '../../model/index.ts';
import type { Connection, ConnectionHandler } from '../connection.ts';
import type { HttpLimits, ResetReason, ServerConnection } from '../http.ts';
import { Output } from '../output.ts';
import { UnfinishedHead } from '../unfinished-head.ts';
import { BodyReader, type BodySink } from './body-reader.ts';
import { Deadline } from './deadline.ts';
import type { HeadParser } from './head-parser.ts';
import { Inbox } from './inbox.ts';
import { closingResponse, MessageWriter } from './message-writer.ts';
import { incomplete, RequestReader } from './request-reader.ts';
import { type ExchangeOwner, ServerExchange } from './server-exchange.ts';
import type { Http1ServerHandler } from './server-handler.ts';
import { offeredProtocol, UpgradeRequest } from './upgrade.ts';

export interface Http1ServerOptions {
  readonly limits: HttpLimits;
  readonly clock: Clock;
  /** How the connection was made; a target in absolute form says its own. */
  readonly scheme: 'http' | 'https';
}

/** Serves HTTP/1.x on a connection, one exchange at a time. */
export function createHttp1Server(
  connection: Connection,
  handler: Http1ServerHandler,
  options: Http1ServerOptions,
): ServerConnection {
  return new Http1Server(connection, handler, options);
}

const Phase = {
  open: 0,
  /** Our side has ended; what still comes is thrown away, lest a TCP reset overtake the last response. */
  closing: 1,
  /** Closed, or handed over. */
  gone: 2,
} as const;

/** Who said no such thing does not read an answer in HTTP/1.1 either. */
const http1Attempt = /^\s*[^\r\n]* HTTP\/1/i;
/** How HTTP/2 begins that was not agreed upon before (RFC 9113 section 3.3): made so that it is no request. */
const http2Preface = 'PRI * HTTP/2.0\r\n\r\n';
/** How much of an unwanted request body is read to keep the connection. */
const discardLimit = 65_536;
/** Milliseconds the peer has to close after we did. */
const lingerTime = 2000;
/** Milliseconds that a request already under way has to arrive while the connection drains. */
const drainDelay = 1000;

class Http1Server implements ServerConnection, ConnectionHandler, BodySink, ExchangeOwner {
  readonly output: Output;
  readonly writer: MessageWriter;
  readonly #connection: Connection;
  readonly #handler: Http1ServerHandler;
  readonly #limits: HttpLimits;
  readonly #inbox = new Inbox();
  readonly #unfinished = new UnfinishedHead();
  readonly #requests: RequestReader;
  readonly #reader: BodyReader;
  readonly #deadline: Deadline;

  #phase: number = Phase.open;
  #processing = false;
  #paused = false;
  #peerEnded = false;
  #draining = false;
  /** The head timeout runs. */
  #headStarted = false;
  /** A request was read before. */
  #served = false;
  /** From a request's head until both messages are through. */
  #exchange: ServerExchange | undefined;

  constructor(connection: Connection, handler: Http1ServerHandler, options: Http1ServerOptions) {
    const { limits, clock, scheme } = options;
    this.#connection = connection;
    this.#handler = handler;
    this.#limits = limits;
    this.#requests = new RequestReader(limits, scheme);
    this.#reader = new BodyReader(limits);
    this.output = new Output(connection);
    this.writer = new MessageWriter(this.output);
    this.#deadline = new Deadline(clock, Math.min(limits.idleTimeout, limits.streamIdleTimeout), () => this.#expire());
    this.#deadline.set(limits.idleTimeout);
    connection.handler = this;
  }

  get active(): number {
    return this.#exchange === undefined ? 0 : 1;
  }

  drain(): void {
    if (this.#phase !== Phase.open) return;
    this.#draining = true;
    if (this.#exchange === undefined && !this.#headStarted) this.#rest();
  }

  destroy(): void {
    if (this.#phase !== Phase.gone) this.lose('connection');
  }

  onData(chunk: Buffer): void {
    if (this.#phase !== Phase.open) return;
    if (this.#exchange !== undefined) this.onProgress();
    this.#inbox.add(chunk);
    this.#process();
  }

  onEnd(): void {
    this.#peerEnded = true;
    if (this.#phase !== Phase.open) return;
    if (this.#exchange?.tunnel) this.#endTunnelInput(this.#exchange);
    else if (!this.#reader.done) this.#fail(400, 'connection');
    // Nobody waits for the answer: who closes says it in the same way as who only ends its side.
    else if (this.#exchange !== undefined) this.lose('connection');
    else this.#process();
  }

  onDrain(): void {
    this.output.blocked = false;
    if (this.#phase === Phase.closing) this.#deadline.set(lingerTime);
    if (this.#phase !== Phase.open) return;
    const exchange = this.#exchange;
    if (exchange === undefined) {
      // The time for a head that came meanwhile begins now, and is no longer than any other's.
      this.#headStarted = false;
      this.#rest();
    } else {
      this.onProgress();
      if (exchange.waits) {
        exchange.waits = false;
        exchange.receiver?.onDrain();
      }
    }
    this.#process();
  }

  onClose(): void {
    if (this.#phase !== Phase.gone) this.#gone('connection');
  }

  onBody(chunk: Buffer): void {
    const exchange = this.#exchange!;
    exchange.awaitsContinue = false;
    exchange.receiver?.onData(chunk);
  }

  mayKeep(end: boolean): boolean {
    if (this.#draining || this.#exchange?.awaitsContinue) return false;
    return !end || this.#reader.remaining <= discardLimit;
  }

  onProgress(): void {
    if (!this.#exchange?.tunnel) this.#deadline.set(this.#limits.streamIdleTimeout);
  }

  /** Reads only what the handler wants, and no further request while one is in work. */
  onFlow(): void {
    if (this.#phase !== Phase.open) return;
    const waiting = this.#reader.done && (this.#exchange !== undefined || this.output.blocked);
    const unwanted = this.#exchange?.paused === true && !this.#reader.done;
    const pause = unwanted || (waiting && !this.#inbox.isEmpty);
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.#connection.pause();
    else this.#connection.resume();
  }

  onTunnel(): void {
    this.#deadline.stop();
    this.#reader.beginUntilClose();
    if (this.#inbox.isEmpty && !this.#peerEnded) return;
    // What came before must not overtake what the handler does next.
    queueMicrotask(() => {
      this.#process();
      if (this.#peerEnded) this.onEnd();
    });
  }

  onResponseEnd(): void {
    const exchange = this.#exchange!;
    if (exchange.tunnel) {
      this.output.flush();
      this.#connection.end();
      if (this.#reader.done) this.#end();
      return;
    }
    exchange.revoke(undefined);
    if (this.#reader.done) this.#finish();
    else if (exchange.close || !this.mayKeep(true)) this.#end();
    else {
      exchange.paused = false;
      this.onFlow();
    }
  }

  /** Breaks the connection off, so that a message cut short cannot be taken for a whole one. */
  lose(reason: ResetReason): void {
    this.output.flush();
    this.#connection.destroy(new Error(`HTTP/1.1 connection given up: ${reason}`));
    this.#gone(reason);
  }

  #process(): void {
    if (this.#processing || this.#phase !== Phase.open) return;
    this.#processing = true;
    while (this.#phase === Phase.open && !this.#inbox.isEmpty) {
      if (!this.#reader.done) this.#readBody();
      else if (this.#exchange !== undefined || this.output.blocked || !this.#readHead()) break;
    }
    this.#processing = false;
    if (this.#phase === Phase.open) this.#settle();
    else this.#forgetInput();
  }

  /** After all that could be read was. */
  #settle(): void {
    this.#inbox.keep();
    const rest = !this.#inbox.isEmpty;
    if (!this.#unfinished.hold(this.#exchange === undefined ? this.#inbox.bytes.length : 0)) {
      this.#fail(503, 'refused');
      return;
    }
    if (this.#exchange === undefined && !this.output.blocked) {
      if (this.#peerEnded) {
        if (rest) this.#fail(400, 'connection');
        else this.#end();
        return;
      }
      if (rest && !this.#headStarted) {
        this.#headStarted = true;
        this.#deadline.set(this.#limits.headTimeout);
      }
    }
    this.onFlow();
  }

  /** Starts the exchange whose head is complete; false when there is none, or the connection is done. */
  #readHead(): boolean {
    const status = this.#requests.read(this.#inbox);
    if (status === incomplete) return false;
    const first = !this.#served;
    this.#served = true;
    this.#headStarted = false;
    const { parser } = this.#requests;
    if (status === 0 && parser.method !== 'CONNECT') return this.#startExchange(parser);
    if (status === 0) this.#connect(parser.authority);
    else if (first && this.#handler.onHttp2 !== undefined) this.#meetOther(status, this.#inbox.text);
    else this.#fail(status, 'protocol');
    return false;
  }

  /** False when the request is refused at once. */
  #startExchange(parser: HeadParser): boolean {
    const reader = this.#reader;
    if (parser.chunked) reader.beginChunked();
    else reader.beginLength(Math.max(0, parser.contentLength));
    const { method, scheme, authority, path, headers } = parser;
    // Who offers to switch accepts that we do not: so it is with all methods that HTTP/2 could not carry along.
    const protocol = parser.upgrade === '' || method !== 'GET' ? undefined : offeredProtocol(parser.upgrade);
    const upgrade = protocol === undefined ? undefined : new UpgradeRequest(protocol, headers);
    if (upgrade !== undefined && !(upgrade.valid && reader.done)) {
      this.#fail(400, 'protocol');
      return false;
    }
    const exchange = new ServerExchange(this, parser, !reader.done, upgrade);
    this.#exchange = exchange;
    this.onProgress();
    const head = { method, scheme, authority, path, headers, upgrade: protocol };
    const receiver = this.#handler.onRequest(head, exchange, reader.done && upgrade === undefined);
    if (!exchange.over) exchange.receiver = receiver;
    else if (exchange.lost !== undefined) receiver.onReset(exchange.lost);
    return true;
  }

  #readBody(): void {
    const reader = this.#reader;
    const at = reader.read(this.#inbox.bytes, this.#inbox.at, this);
    if (this.#phase !== Phase.open) return;
    if (at < 0) {
      this.#fail(400, 'protocol');
      return;
    }
    this.#inbox.at = at;
    const exchange = this.#exchange;
    if (!reader.done || exchange === undefined) return;
    if (exchange.over) this.#finish();
    else exchange.receiver?.onEnd(reader.trailers);
  }

  #endTunnelInput(exchange: ServerExchange): void {
    this.#reader.stop();
    exchange.receiver?.onEnd(undefined);
    if (exchange.ended && this.#phase === Phase.open) this.#end();
  }

  #finish(): void {
    const { close } = this.#exchange!;
    this.#exchange = undefined;
    if (close) {
      this.#end();
      return;
    }
    this.#rest();
    this.#process();
  }

  /**
   * No exchange is under way. A client that was not told that the last response was the last may be sending another
   * request: it is answered, and told then.
   */
  #rest(): void {
    const { idleTimeout } = this.#limits;
    // Who reads the last response slowly is waited for.
    if (this.#draining) this.output.flush();
    if (!this.output.blocked) this.#deadline.set(this.#draining ? Math.min(drainDelay, idleTimeout) : idleTimeout);
  }

  #connect(authority: string): void {
    if (this.#handler.onConnect === undefined || this.#peerEnded) {
      this.#fail(this.#peerEnded ? 400 : 501, 'protocol');
      return;
    }
    const rest = this.#handOver();
    this.#handler.onConnect(authority, this.#connection, rest, (status) => {
      this.#connection.handler = this;
      this.#phase = Phase.open;
      this.#fail(status, 'protocol');
    });
  }

  /** The connection does not begin with a request, where it may begin with HTTP/2. */
  #meetOther(status: number, text: string): void {
    if (status === 505 && text.startsWith(http2Preface)) this.#handler.onHttp2!(this.#connection, this.#handOver());
    else if (status === 400 && !http1Attempt.test(text)) this.#end();
    else this.#fail(status, 'protocol');
  }

  /** Lets go of the connection; gives back what was not read. */
  #handOver(): Buffer {
    const rest = this.#inbox.copyRest();
    this.#forgetInput();
    this.output.flush();
    this.#phase = Phase.gone;
    this.#deadline.stop();
    if (this.#paused) this.#connection.resume();
    return rest;
  }

  #expire(): void {
    const idle = this.#exchange === undefined;
    if (this.#phase === Phase.closing || (idle && this.output.blocked)) this.lose('cancelled');
    else if (!idle) this.#fail(this.#reader.done ? 504 : 408, 'cancelled');
    else if (!this.#inbox.isEmpty) this.#fail(408, 'cancelled');
    else this.#end();
  }

  /** Ends the connection, with an error response if none has begun. */
  #fail(status: number, reason: ResetReason): void {
    const exchange = this.#exchange;
    if (exchange?.responded && !exchange.over) {
      this.lose(reason);
      return;
    }
    const receiver = exchange?.revoke(reason);
    if (!exchange?.responded) this.output.text(closingResponse(status));
    this.#end();
    receiver?.onReset(reason);
  }

  /** Ends our side in order and waits for the peer to do the same. */
  #end(): void {
    this.#phase = Phase.closing;
    this.#exchange = undefined;
    this.#forgetInput();
    this.#reader.stop();
    this.output.flush();
    this.#connection.end();
    if (this.#paused) this.#connection.resume();
    // Who reads the last response slowly is waited for.
    this.#deadline.set(this.output.blocked ? this.#limits.streamIdleTimeout : lingerTime);
  }

  #gone(reason: ResetReason): void {
    const receiver = this.#exchange?.revoke(reason);
    this.#phase = Phase.gone;
    this.#exchange = undefined;
    this.#forgetInput();
    this.#reader.stop();
    this.#deadline.stop();
    receiver?.onReset(reason);
  }

  #forgetInput(): void {
    this.#inbox.clear();
    this.#unfinished.hold(0);
  }
}
