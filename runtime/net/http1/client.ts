import type { Clock } from '../../model/index.ts';
import type { Connection, ConnectionHandler } from '../connection.ts';
import {
  type ClientConnection,
  type ClientConnectionOwner,
  type ClientStream,
  type HeaderList,
  type HttpLimits,
  maxInformational,
  type RequestHead,
  type ResetReason,
  type ResponseReceiver,
} from '../http.ts';
import { IdleLimit } from '../idle-limit.ts';
import { readLatin1 } from '../latin1.ts';
import { Output } from '../output.ts';
import { BodyReader, type BodySink } from './body-reader.ts';
import { type ClientExchange, Http1ClientStream } from './client-stream.ts';
import { Deadline } from './deadline.ts';
import { checkPartialHead, findHeadEnd, HeadParser } from './head-parser.ts';
import { MessageWriter } from './message-writer.ts';
import { PeerPatience } from './peer-patience.ts';
import { UpgradeOffer } from './upgrade.ts';

export interface Http1ClientOptions {
  readonly limits: HttpLimits;
  readonly clock: Clock;
  /**
   * What is known of the peer's patience with idle connections, shared by all that lead to it.
   * @default - nothing, and only this connection learns
   */
  readonly idle?: IdleLimit;
}

/** Sends requests on a connection with HTTP/1.1, one at a time. */
export function createHttp1Client(
  connection: Connection,
  owner: ClientConnectionOwner,
  options: Http1ClientOptions,
): ClientConnection {
  return new Http1Client(connection, owner, options);
}

const noBytes = Buffer.alloc(0);
/** Milliseconds the peer has to close after both ends of a tunnel. */
const lingerTime = 2000;

class Http1Client implements ClientConnection, ConnectionHandler, BodySink, ClientExchange {
  readonly #connection: Connection;
  readonly #owner: ClientConnectionOwner;
  readonly #limits: HttpLimits;
  readonly #parser: HeadParser;
  readonly #reader: BodyReader;
  readonly #output: Output;
  readonly #writer: MessageWriter;
  readonly #deadline: Deadline;
  readonly #patience: PeerPatience;

  #closed = false;
  #retired = false;
  #draining = false;
  #input: Buffer = noBytes;
  #paused = false;

  #receiver: ResponseReceiver | undefined;
  #stream: Http1ClientStream | undefined;
  /** `Output.writes` when the request began: as long as it stays, the peer has seen nothing of it. */
  #mark = 0;
  #requestDone = false;
  #isHead = false;
  #offer: UpgradeOffer | undefined;
  #tunnel = false;
  #informational = 0;
  #responded = false;
  #headStarted = false;
  #keep = false;
  #writerWaits = false;

  constructor(connection: Connection, owner: ClientConnectionOwner, { limits, clock, idle }: Http1ClientOptions) {
    this.#connection = connection;
    this.#owner = owner;
    this.#limits = limits;
    this.#parser = new HeadParser(limits);
    this.#reader = new BodyReader(limits);
    this.#output = new Output(connection);
    this.#writer = new MessageWriter(this.#output);
    this.#deadline = new Deadline(clock, Math.min(limits.idleTimeout, limits.streamIdleTimeout), () => this.#expire());
    this.#patience = new PeerPatience(idle ?? new IdleLimit(), limits.idleTimeout, this.#deadline);
    this.#deadline.set(limits.idleTimeout);
    connection.handler = this;
  }

  get capacity(): number {
    if (this.#stream !== undefined || this.#closed || this.#draining) return 0;
    return this.#patience.lasts ? 1 : 0;
  }

  get active(): number {
    return this.#stream === undefined ? 0 : 1;
  }

  request(head: RequestHead, end: boolean, receiver: ResponseReceiver): ClientStream {
    const stream = new Http1ClientStream(this);
    if (this.capacity === 0) {
      stream.revoke();
      setImmediate(() => stream.cancelled || receiver.onReset('refused'));
      return stream;
    }
    this.#stream = stream;
    this.#receiver = receiver;
    this.#mark = this.#output.writes;
    this.#requestDone = end;
    this.#isHead = head.method === 'HEAD';
    this.#offer = head.upgrade === undefined ? undefined : new UpgradeOffer(head.upgrade, head.headers);
    this.#informational = 0;
    this.#responded = false;
    this.#headStarted = false;
    this.#writerWaits = false;
    if (this.#writer.request(head, end, this.#offer)) this.#progress();
    else {
      stream.revoke();
      setImmediate(() => this.#rejectRequest(stream, receiver));
    }
    return stream;
  }

  drain(): void {
    this.#draining = true;
    if (this.#stream === undefined) this.#close();
  }

  destroy(): void {
    this.#draining = true;
    this.#lose('connection');
  }

  onData(chunk: Buffer): void {
    if (this.#closed) return;
    if (this.#stream === undefined || this.#unsent) {
      // Bytes nobody asked for must not become the answer to the next request.
      this.#lose('protocol');
      return;
    }
    const input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    this.#input = noBytes;
    this.#process(input);
    if (this.#stream !== undefined) this.#progress();
  }

  onEnd(): void {
    if (this.#closed) return;
    if (this.#tunnel) {
      this.#reader.stop();
      this.#receiver?.onEnd(undefined);
      if (this.#requestDone) this.#endTunnel();
    } else if (this.#reader.endsWithConnection) {
      this.#reader.stop();
      this.#keep = false;
      this.#complete(true);
    } else this.#lose('connection');
  }

  onDrain(): void {
    this.#output.blocked = false;
    if (this.#closed || this.#stream === undefined) return;
    this.#progress();
    if (!this.#writerWaits) return;
    this.#writerWaits = false;
    this.#receiver?.onDrain();
  }

  onClose(): void {
    this.#deadline.stop();
    this.#lose('connection');
  }

  onBody(chunk: Buffer): void {
    this.#receiver?.onData(chunk);
  }

  write(chunk: Buffer): boolean {
    if (!this.#writable || !this.#writer.body(chunk)) {
      this.#lose('internal');
      return true;
    }
    this.#progress();
    this.#writerWaits = this.#output.blocked;
    return !this.#output.blocked;
  }

  end(trailers: HeaderList | undefined): void {
    if (!this.#writable || !this.#writer.end(trailers)) {
      this.#lose('internal');
      return;
    }
    this.#requestDone = true;
    this.#progress();
    if (!this.#tunnel) return;
    this.#output.flush();
    this.#connection.end();
    if (this.#reader.done) this.#endTunnel();
  }

  reset(): void {
    this.#revoke();
    this.#lose('cancelled');
  }

  pauseReader(paused: boolean): void {
    if (paused === this.#paused || this.#closed) return;
    this.#paused = paused;
    if (paused) this.#connection.pause();
    else this.#connection.resume();
  }

  /** The caller may add to the request: nothing follows an offer before it was accepted. */
  get #writable(): boolean {
    return !this.#requestDone && (this.#offer === undefined || this.#tunnel);
  }

  /** Nothing of the current request has left yet. */
  get #unsent(): boolean {
    return this.#output.writes === this.#mark;
  }

  #process(input: Buffer): void {
    let at = 0;
    while (this.#stream !== undefined && at < input.length) {
      const inBody = this.#responded;
      at = inBody ? this.#reader.read(input, at, this) : this.#readHead(input, at);
      if (this.#stream === undefined) return;
      if (at < 0) {
        this.#lose('protocol');
        return;
      }
      if (!this.#responded || !this.#reader.done) continue;
      // Bytes behind a response: nothing that follows on this connection can be trusted.
      if (at < input.length) this.#keep = false;
      this.#complete(inBody);
      return;
    }
  }

  /** Reads a head and tells of it. Returns where it ends, -1 when malformed. */
  #readHead(input: Buffer, at: number): number {
    const end = findHeadEnd(input, at);
    if (end < 0) {
      if (checkPartialHead(input, at, this.#limits) !== 0) return -1;
      this.#input = Buffer.from(input.subarray(at));
      if (!this.#headStarted) this.#deadline.set(this.#limits.headTimeout);
      this.#headStarted = true;
      return input.length;
    }
    const parser = this.#parser;
    if (end - at > this.#limits.maxHeadBytes || parser.parseResponse(readLatin1(input, at, end)) !== 0) return -1;
    this.#headStarted = false;
    const { status, headers } = parser;
    if (status >= 200) this.#beginResponse();
    else if (status === 101) {
      if (!this.#offer?.isAccepted(parser.upgrade, headers)) return -1;
      this.#beginTunnel();
    } else if (++this.#informational > maxInformational) return -1;
    else this.#receiver?.onInformational({ status, headers });
    return end + 4;
  }

  #beginResponse(): void {
    const parser = this.#parser;
    const reader = this.#reader;
    const { status, headers } = parser;
    this.#responded = true;
    if (this.#isHead || status === 204 || status === 304) reader.beginLength(0);
    else if (parser.chunked) reader.beginChunked();
    else if (parser.contentLength >= 0) reader.beginLength(parser.contentLength);
    else reader.beginUntilClose();
    this.#keep = !parser.close && !reader.endsWithConnection;
    if (parser.keepAlive !== '') this.#patience.hear(parser.keepAlive);
    this.#receiver?.onResponse({ status, headers }, reader.done);
  }

  #beginTunnel(): void {
    this.#responded = true;
    this.#tunnel = true;
    this.#reader.beginUntilClose();
    this.#writer.beginTunnel();
    this.#deadline.stop();
    this.#receiver?.onResponse({ status: 101, headers: this.#parser.headers }, false);
  }

  /** Both directions have ended; the peer is still to close, so that what was written last arrives. */
  #endTunnel(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#revoke();
    this.#deadline.set(lingerTime);
    this.#retire();
  }

  /** The response is through. */
  #complete(tellEnd: boolean): void {
    const receiver = this.#receiver;
    const keep = this.#keep && this.#requestDone && !this.#draining;
    this.#revoke();
    if (keep) {
      this.pauseReader(false);
      this.#patience.beginIdle();
    } else this.#shut();
    if (tellEnd) receiver?.onEnd(this.#reader.trailers);
    if (!keep) this.#retire();
    else if (this.capacity > 0) this.#owner.onCapacity(this);
  }

  #rejectRequest(stream: Http1ClientStream, receiver: ResponseReceiver): void {
    if (this.#stream !== stream) return;
    this.#revoke();
    if (!stream.cancelled) receiver.onReset('internal');
    if (this.#draining) this.#close();
    else if (this.capacity > 0) this.#owner.onCapacity(this);
  }

  #progress(): void {
    if (!this.#headStarted && !this.#tunnel) this.#deadline.set(this.#limits.streamIdleTimeout);
  }

  #expire(): void {
    if (this.#closed) this.#connection.destroy();
    else if (this.#stream !== undefined) this.#lose('cancelled');
    else if (!this.#patience.probe()) this.#close();
  }

  /** Breaks off whatever is under way. */
  #lose(reason: ResetReason): void {
    // Of a connection that breaks under a request nobody knows whether the peer had lost patience.
    if (reason === 'connection' && !this.#draining && this.#stream === undefined && !this.#closed)
      this.#patience.learn();
    const receiver = this.#receiver;
    const safe = this.#unsent && (reason === 'connection' || reason === 'protocol');
    this.#revoke();
    this.#output.discard();
    this.#shut(new Error(`HTTP/1.1 connection given up: ${reason}`));
    receiver?.onReset(safe ? 'refused' : reason);
    this.#retire();
  }

  #close(): void {
    this.#shut();
    this.#retire();
  }

  #shut(error?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#patience.stop();
    this.#deadline.stop();
    this.#connection.destroy(error);
  }

  #retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#owner.onRetire(this);
  }

  #revoke(): void {
    this.#stream?.revoke();
    this.#stream = undefined;
    this.#receiver = undefined;
    this.#reader.stop();
  }
}
