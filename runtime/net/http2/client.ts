import type { Timer } from '../../model/index.ts';
import type { Connection } from '../connection.ts';
import {
  type ClientConnection,
  type ClientConnectionOwner,
  type ClientStream,
  type HeaderList,
  maxInformational,
  type RequestHead,
  type ResetReason,
  type ResponseReceiver,
} from '../http.ts';
import { AwaitedStream } from './awaited-stream.ts';
import { ErrorCode, maxStreamId, protocolError } from './frame.ts';
import { HeadReader } from './head.ts';
import type { HeadFault } from './header-blocks.ts';
import type { Http2Options } from './options.ts';
import { Session } from './session.ts';
import { Http2Stream, type StreamOwner } from './stream.ts';
import { answerOfUpgrade } from './upgrade.ts';

/** What a client may be told. */
export interface Http2ClientOptions extends Http2Options {
  /**
   * Asks the server with PING whether it is there when nothing was heard for `interval` milliseconds; without an
   * answer within `timeout` the connection is broken.
   *
   * @default the operating system decides
   */
  readonly keepalive?: { readonly interval: number; readonly timeout: number };
  /**
   * What requests say of the connection.
   * @default - what each of them says
   */
  readonly scheme?: 'https';
}

/** Streams we open before the server has said how many it takes (RFC 9113 section 6.5.2 recommends no less). */
const assumedStreams = 100;
const keepalivePing = Buffer.from('are you?', 'latin1');

class Http2ClientStream extends Http2Stream implements ClientStream {
  readonly response: ResponseReceiver;
  readonly upgrade: boolean;
  override headReceived = false;
  /** Interim responses so far. */
  informational = 0;
  readonly #method: string;

  constructor(id: number, owner: StreamOwner, sendWindow: number, head: RequestHead, response: ResponseReceiver) {
    super(id, owner, sendWindow);
    this.upgrade = head.upgrade !== undefined;
    this.#method = head.method;
    this.response = response;
    this.receiver = response;
  }

  /** What the response's body must come to; -1 when nothing says so (RFC 9110 section 8.6). */
  bodyLength(status: number, contentLength: number): number {
    if (this.tunnel) return -1;
    if (this.#method === 'HEAD' || status === 204 || status === 304) return 0;
    return this.#method === 'CONNECT' && status < 300 ? -1 : contentLength;
  }

  /** Never opens; the receiver hears of it later, as of any other refusal. */
  refuse(reason: ResetReason): void {
    this.localEnded = true;
    this.remoteEnded = true;
    this.sending.clear();
    queueMicrotask(() => this.abort(reason));
  }

  /** The head that ends the stream: `onEnd` does not follow. */
  endWithHead(): void {
    this.remoteEnded = true;
    if (this.localEnded) this.owner.onStreamEnd(this);
  }

  /** After a complete response, the server only says that it does not want the rest of the request. */
  override onReset(code: number): void {
    if (!this.remoteEnded) {
      super.onReset(code);
      return;
    }
    this.sending.clear();
    this.localEnded = true;
  }
}

class Http2Client extends Session<Http2ClientStream> implements ClientConnection {
  readonly #owner: ClientConnectionOwner;
  readonly #keepalive: Http2ClientOptions['keepalive'];
  readonly #scheme: Http2ClientOptions['scheme'];
  readonly #heads = new HeadReader();
  #nextStream = 1;
  #maxStreams = assumedStreams;
  #retired = false;
  readonly #awaited = new Set<AwaitedStream>();
  #keepaliveTimer: Timer | undefined;

  constructor(connection: Connection, owner: ClientConnectionOwner, options: Http2ClientOptions) {
    super(connection, options, false);
    this.#owner = owner;
    this.#keepalive = options.keepalive;
    this.#scheme = options.scheme;
    this.#keepAlive();
  }

  get capacity(): number {
    if (this.#retired) return 0;
    const limit = Math.min(this.#maxStreams, this.limits.maxConcurrentStreams);
    return Math.max(0, limit - this.streams.size - this.#awaited.size);
  }

  request(head: RequestHead, end: boolean, receiver: ResponseReceiver): ClientStream {
    if (head.upgrade !== undefined && !this.settled && this.capacity > 0) return this.#await(head, receiver);
    const stream = new Http2ClientStream(this.#nextStream, this, this.peer.initialWindow, head, receiver);
    const unsupported = head.upgrade !== undefined && this.settled && !this.peer.takesUpgrades;
    if (this.capacity === 0 || unsupported) {
      stream.refuse(unsupported ? 'unsupported' : 'refused');
      return stream;
    }
    this.#nextStream += 2;
    this.writer.headers(stream.id, pseudoFields(head, this.#scheme ?? head.scheme), head.headers, end);
    stream.localEnded = end;
    this.addStream(stream);
    if (this.#nextStream > maxStreamId) this.drain();
    return stream;
  }

  drain(): void {
    this.onRetired();
    if (this.streams.size === 0) this.close();
  }

  onHead(streamId: number, fields: HeaderList, endStream: boolean, fault: HeadFault): void {
    const stream = this.streams.get(streamId);
    if (!stream) {
      if (this.isIdle(streamId)) throw protocolError('a response to no request');
    } else if (stream.remoteEnded) {
      this.failStream(streamId, ErrorCode.StreamClosed);
    } else if (fault) {
      this.failStream(streamId, ErrorCode.ProtocolError);
    } else if (stream.headReceived) {
      if (endStream && !stream.tunnel && this.#heads.trailers(fields)) this.endStream(stream, fields);
      else this.failStream(streamId, ErrorCode.ProtocolError);
    } else {
      this.#onResponse(stream, fields, endStream);
    }
  }

  #await(head: RequestHead, receiver: ResponseReceiver): ClientStream {
    const awaited = new AwaitedStream(head, receiver);
    this.#awaited.add(awaited);
    return awaited;
  }

  #onResponse(stream: Http2ClientStream, fields: HeaderList, endStream: boolean): void {
    const head = this.#heads.response(fields);
    const { contentLength } = this.#heads;
    const interim = head !== undefined && head.status < 200;
    if (!head || (interim && (endStream || ++stream.informational > maxInformational))) {
      this.failStream(stream.id, ErrorCode.ProtocolError);
      return;
    }
    if (interim) {
      stream.response.onInformational(head);
      return;
    }
    stream.headReceived = true;
    const answer = stream.upgrade ? answerOfUpgrade(head) : head;
    stream.tunnel = answer.status === 101;
    const promised = stream.bodyLength(head.status, contentLength);
    if (endStream && promised > 0) {
      this.failStream(stream.id, ErrorCode.ProtocolError);
      return;
    }
    stream.promise(promised);
    stream.response.onResponse(answer, endStream && !stream.tunnel);
    if (!endStream) return;
    if (stream.tunnel) this.endStream(stream, undefined);
    else stream.endWithHead();
  }

  protected get lastPeerStream(): number {
    return 0;
  }

  isIdle(streamId: number): boolean {
    return streamId >= this.#nextStream || streamId % 2 === 0;
  }

  /** The server could not know yet that we had given the stream up. */
  protected onLateFrame(): void {}

  onGoAway(lastStreamId: number): void {
    this.onRetired();
    for (const stream of this.streams.values()) {
      if (stream.id <= lastStreamId) continue;
      this.onStreamEnd(stream);
      stream.abort('refused');
    }
    if (this.streams.size === 0) this.close();
  }

  /** What arrives, whatever it is, shows that the server lives. */
  onPingAck(): void {}

  protected onPeerSettings(): void {
    this.#maxStreams = this.peer.maxConcurrentStreams;
    for (const awaited of this.#takeAwaited()) awaited.open(this);
    if (this.capacity > 0) this.#owner.onCapacity(this);
  }

  protected onStreamGone(): void {
    if (!this.#retired) this.#owner.onCapacity(this);
    else if (this.streams.size === 0) this.close();
  }

  protected onRetired(): void {
    if (this.closed) {
      this.#keepaliveTimer?.cancel();
      for (const awaited of this.#takeAwaited()) awaited.refuse();
    }
    if (this.#retired) return;
    this.#retired = true;
    this.#owner.onRetire(this);
  }

  #takeAwaited(): AwaitedStream[] {
    const awaited = [...this.#awaited];
    this.#awaited.clear();
    return awaited;
  }

  #keepAlive(): void {
    const keepalive = this.#keepalive;
    if (!keepalive || this.closed) return;
    const { frames } = this;
    this.#keepaliveTimer = this.clock.schedule(keepalive.interval, () => {
      if (this.frames > frames) {
        this.#keepAlive();
        return;
      }
      this.writer.ping(keepalivePing, 0, false);
      this.#keepaliveTimer = this.clock.schedule(keepalive.timeout, () => {
        if (this.frames > frames) this.#keepAlive();
        else this.destroy();
      });
    });
  }
}

function pseudoFields(head: RequestHead, scheme: RequestHead['scheme']): string[] {
  const { upgrade } = head;
  if (upgrade !== undefined) {
    const target = [':scheme', scheme, ':authority', head.authority, ':path', head.path];
    return [':method', 'CONNECT', ':protocol', upgrade, ...target];
  }
  if (head.method === 'CONNECT') return [':method', 'CONNECT', ':authority', head.authority];
  return [':method', head.method, ':scheme', scheme, ':authority', head.authority, ':path', head.path];
}

/** Speaks HTTP/2 on a connection to a server that expects it: by ALPN or by prior knowledge. */
export function createHttp2Client(
  connection: Connection,
  owner: ClientConnectionOwner,
  options: Http2ClientOptions,
): ClientConnection {
  return new Http2Client(connection, owner, options);
}
