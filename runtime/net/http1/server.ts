import type { Clock } from '../../model/index.ts';
import type { Connection, ConnectionHandler } from '../connection.ts';
import type {
  HeaderList,
  HttpLimits,
  RequestReceiver,
  ResetReason,
  ResponseHead,
  ServerConnection,
  ServerHandler,
} from '../http.ts';
import { BodyReader, type BodySink } from './body-reader.ts';
import { Deadline } from './deadline.ts';
import { checkPartialHead, findHeadEnd, HeadParser } from './head-parser.ts';
import { Inbox } from './inbox.ts';
import { closingResponse, MessageWriter } from './message-writer.ts';
import { Output } from './output.ts';
import { type ExchangeControl, Http1ServerStream } from './server-stream.ts';

/** Handles the requests of an HTTP/1.1 connection. */
export interface Http1ServerHandler extends ServerHandler {
  /**
   * Takes over the connection for a CONNECT to `authority`: the codec is detached, so the handler sets
   * `connection.handler` and writes the 200 itself. `rest` came behind the request. `refuse` gives the connection back,
   * to be answered with `status` and closed; only before anything was written. Without this method CONNECT gets 501.
   */
  onConnect?(authority: string, connection: Connection, rest: Buffer, refuse: (status: number) => void): void;
}

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

const carriageReturn = 13;
const lineFeed = 10;
/** How much of an unwanted request body is read to keep the connection. */
const discardLimit = 65_536;
/** Milliseconds the peer has to close after we did. */
const lingerTime = 2000;

class Http1Server implements ServerConnection, ConnectionHandler, BodySink, ExchangeControl {
  readonly #connection: Connection;
  readonly #handler: Http1ServerHandler;
  readonly #options: Http1ServerOptions;
  readonly #inbox = new Inbox();
  readonly #parser: HeadParser;
  readonly #reader: BodyReader;
  readonly #output: Output;
  readonly #writer: MessageWriter;
  readonly #deadline: Deadline;

  #phase: number = Phase.open;
  #processing = false;
  #paused = false;
  #peerEnded = false;
  #draining = false;
  /** An empty line before the request line was skipped, or the head timeout runs. */
  #skippedLine = false;
  #headStarted = false;

  /** From a request's head until both messages are through. */
  #busy = false;
  #stream: Http1ServerStream | undefined;
  #receiver: RequestReceiver | undefined;
  #isHead = false;
  #isHttp10 = false;
  #close = false;
  #awaitsContinue = false;
  #responded = false;
  #readerPaused = false;
  #writerWaits = false;

  constructor(connection: Connection, handler: Http1ServerHandler, options: Http1ServerOptions) {
    const { limits, clock } = options;
    this.#connection = connection;
    this.#handler = handler;
    this.#options = options;
    this.#parser = new HeadParser(limits);
    this.#reader = new BodyReader(limits);
    this.#output = new Output(connection);
    this.#writer = new MessageWriter(this.#output);
    this.#deadline = new Deadline(clock, Math.min(limits.idleTimeout, limits.streamIdleTimeout), () => this.#expire());
    this.#deadline.set(limits.idleTimeout);
    connection.handler = this;
  }

  get active(): number {
    return this.#busy ? 1 : 0;
  }

  drain(): void {
    if (this.#phase !== Phase.open) return;
    this.#draining = true;
    if (!this.#busy) this.#end();
  }

  destroy(): void {
    if (this.#phase !== Phase.gone) this.#lose('connection');
  }

  onData(chunk: Buffer): void {
    if (this.#phase !== Phase.open) return;
    if (this.#busy) this.#progress();
    this.#inbox.add(chunk);
    this.#process();
  }

  onEnd(): void {
    this.#peerEnded = true;
    if (this.#phase !== Phase.open) return;
    if (!this.#reader.done) this.#fail(400, 'connection');
    else this.#process();
  }

  onDrain(): void {
    this.#output.blocked = false;
    if (this.#phase !== Phase.open) return;
    if (this.#busy) this.#progress();
    else this.#deadline.set(this.#options.limits.idleTimeout);
    if (this.#writerWaits) {
      this.#writerWaits = false;
      this.#receiver?.onDrain();
    }
    this.#process();
  }

  onClose(): void {
    if (this.#phase !== Phase.gone) this.#gone('connection');
  }

  onBody(chunk: Buffer): void {
    this.#awaitsContinue = false;
    this.#receiver?.onData(chunk);
  }

  informational(head: ResponseHead): void {
    // A client of HTTP/1.0 knows no interim responses.
    if (this.#responded || this.#isHttp10) return;
    if (head.status === 100) this.#awaitsContinue = false;
    if (this.#writer.informational(head)) this.#progress();
    else this.#lose('internal');
  }

  respond(head: ResponseHead, end: boolean): void {
    if (this.#responded) return;
    this.#responded = true;
    this.#close ||= this.#draining || !this.#mayKeep(end);
    const written = this.#writer.response(head, end, {
      isHead: this.#isHead,
      isHttp10: this.#isHttp10,
      close: this.#close,
    });
    if (!written) {
      this.#lose('internal');
      return;
    }
    this.#close ||= this.#writer.endsWithConnection;
    this.#progress();
    if (end) this.#responseEnd();
  }

  write(chunk: Buffer): boolean {
    if (!this.#responded || !this.#writer.body(chunk)) {
      this.#lose('internal');
      return true;
    }
    this.#progress();
    this.#writerWaits = this.#output.blocked;
    return !this.#output.blocked;
  }

  end(trailers: HeaderList | undefined): void {
    if (this.#responded && this.#writer.end(trailers)) this.#responseEnd();
    else this.#lose('internal');
  }

  reset(): void {
    this.#revoke();
    this.#lose('cancelled');
  }

  pauseReader(paused: boolean): void {
    this.#readerPaused = paused;
    this.#flow();
  }

  #process(): void {
    if (this.#processing) return;
    this.#processing = true;
    while (this.#phase === Phase.open && !this.#inbox.isEmpty) {
      if (!this.#reader.done) this.#readBody();
      else if (this.#busy || this.#output.blocked || !this.#readHead()) break;
    }
    this.#processing = false;
    if (this.#phase === Phase.open) this.#settle();
    else this.#inbox.clear();
  }

  /** After all that could be read was. */
  #settle(): void {
    this.#inbox.keep();
    const rest = !this.#inbox.isEmpty;
    if (!this.#busy && !this.#output.blocked) {
      if (this.#peerEnded) {
        if (rest) this.#fail(400, 'connection');
        else this.#end();
        return;
      }
      if (rest && !this.#headStarted) {
        this.#headStarted = true;
        this.#deadline.set(this.#options.limits.headTimeout);
      }
    }
    this.#flow();
  }

  /** Reads only what the handler wants, and no further request while one is in work. */
  #flow(): void {
    if (this.#phase !== Phase.open) return;
    const waiting = this.#reader.done && (this.#busy || this.#output.blocked);
    const pause = (this.#readerPaused && !this.#reader.done) || (waiting && !this.#inbox.isEmpty);
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.#connection.pause();
    else this.#connection.resume();
  }

  /** Starts the exchange whose head is complete; false when there is none, or the connection is done. */
  #readHead(): boolean {
    const inbox = this.#inbox;
    const { bytes } = inbox;
    const { limits, scheme } = this.#options;
    // RFC 9112 section 2.2: an empty line may precede a request.
    if (!this.#skippedLine && bytes[inbox.at] === carriageReturn) {
      if (inbox.at + 1 === bytes.length) return false;
      if (bytes[inbox.at + 1] === lineFeed) {
        this.#skippedLine = true;
        inbox.at += 2;
        if (inbox.isEmpty) return false;
      }
    }
    const start = inbox.at;
    const end = findHeadEnd(bytes, start);
    if (end < 0 || end - start > limits.maxHeadBytes) {
      const status = end < 0 ? checkPartialHead(bytes, start, limits) : 431;
      if (status !== 0) this.#fail(status, 'protocol');
      return false;
    }
    const parser = this.#parser;
    const status = parser.parseRequest(bytes.toString('latin1', start, end), scheme);
    if (status !== 0) {
      this.#fail(status, 'protocol');
      return false;
    }
    inbox.at = end + 4;
    this.#skippedLine = false;
    this.#headStarted = false;
    if (parser.method === 'CONNECT') {
      this.#handOver(parser.authority);
      return false;
    }
    if (parser.chunked) this.#reader.beginChunked();
    else this.#reader.beginLength(Math.max(0, parser.contentLength));
    this.#startExchange();
    return true;
  }

  #startExchange(): void {
    const parser = this.#parser;
    this.#busy = true;
    this.#responded = false;
    this.#readerPaused = false;
    this.#writerWaits = false;
    this.#isHead = parser.method === 'HEAD';
    this.#isHttp10 = parser.isHttp10;
    this.#close = parser.close;
    this.#awaitsContinue = parser.expectsContinue && !this.#reader.done;
    this.#progress();
    const { method, scheme, authority, path, headers } = parser;
    const stream = new Http1ServerStream(this);
    this.#stream = stream;
    const receiver = this.#handler.onRequest({ method, scheme, authority, path, headers }, stream, this.#reader.done);
    if (this.#stream === stream) this.#receiver = receiver;
    else if (stream.lost !== undefined) receiver.onReset(stream.lost);
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
    if (!reader.done || !this.#busy) return;
    if (this.#stream === undefined) this.#finish();
    else this.#receiver?.onEnd(reader.trailers);
  }

  /** Whether the connection can live on if the response ends before the request did. */
  #mayKeep(end: boolean): boolean {
    if (this.#awaitsContinue) return false;
    return !end || this.#reader.remaining <= discardLimit;
  }

  #responseEnd(): void {
    this.#revoke();
    if (this.#reader.done) this.#finish();
    else if (this.#close || !this.#mayKeep(true)) this.#end();
    else {
      this.#readerPaused = false;
      this.#flow();
    }
  }

  #finish(): void {
    this.#busy = false;
    if (this.#close || this.#draining) {
      this.#end();
      return;
    }
    if (!this.#output.blocked) this.#deadline.set(this.#options.limits.idleTimeout);
    this.#process();
  }

  #handOver(authority: string): void {
    const connection = this.#connection;
    if (this.#handler.onConnect === undefined || this.#peerEnded) {
      this.#fail(this.#peerEnded ? 400 : 501, 'protocol');
      return;
    }
    const rest = this.#inbox.copyRest();
    this.#output.flush();
    this.#phase = Phase.gone;
    this.#deadline.stop();
    if (this.#paused) connection.resume();
    this.#handler.onConnect(authority, connection, rest, (status) => {
      connection.handler = this;
      this.#phase = Phase.open;
      this.#fail(status, 'protocol');
    });
  }

  #progress(): void {
    this.#deadline.set(this.#options.limits.streamIdleTimeout);
  }

  #expire(): void {
    if (this.#phase === Phase.closing || (!this.#busy && this.#output.blocked)) this.#lose('cancelled');
    else if (this.#busy) this.#fail(this.#reader.done ? 504 : 408, 'cancelled');
    else if (!this.#inbox.isEmpty) this.#fail(408, 'cancelled');
    else this.#end();
  }

  /** Ends the connection, with an error response if none has begun. */
  #fail(status: number, reason: ResetReason): void {
    if (this.#stream !== undefined && this.#responded) {
      this.#lose(reason);
      return;
    }
    const receiver = this.#revoke(reason);
    if (!(this.#busy && this.#responded)) this.#output.text(closingResponse(status));
    this.#end();
    receiver?.onReset(reason);
  }

  /** Ends our side in order and waits for the peer to do the same. */
  #end(): void {
    this.#phase = Phase.closing;
    this.#busy = false;
    this.#reader.stop();
    this.#output.flush();
    this.#connection.end();
    if (this.#paused) this.#connection.resume();
    this.#deadline.set(lingerTime);
  }

  /** Breaks the connection off, so that a message cut short cannot be taken for a whole one. */
  #lose(reason: ResetReason): void {
    this.#output.flush();
    this.#connection.destroy(new Error(`HTTP/1.1 connection given up: ${reason}`));
    this.#gone(reason);
  }

  #gone(reason: ResetReason): void {
    const receiver = this.#revoke(reason);
    this.#phase = Phase.gone;
    this.#busy = false;
    this.#reader.stop();
    this.#deadline.stop();
    receiver?.onReset(reason);
  }

  /** Makes the handler's stream inert; gives back whom to tell. */
  #revoke(reason?: ResetReason): RequestReceiver | undefined {
    const receiver = this.#receiver;
    this.#stream?.revoke(reason);
    this.#stream = undefined;
    this.#receiver = undefined;
    return receiver;
  }
}
