import type { Timer } from '../../model/index.ts';
import type { Connection } from '../connection.ts';
import type {
  HeaderList,
  RequestReceiver,
  ResetReason,
  ResponseHead,
  ServerConnection,
  ServerHandler,
  ServerStream,
} from '../http.ts';
import { ConnectionError, ErrorCode, FrameType, maxStreamId, protocolError } from './frame.ts';
import { HeadReader } from './head.ts';
import type { HeadFault } from './header-blocks.ts';
import type { Http2Options } from './options.ts';
import { Session } from './session.ts';
import { Http2Stream, type StreamOwner } from './stream.ts';
import { answerToUpgrade } from './upgrade.ts';

/** Milliseconds that requests already under way have to arrive while the connection drains. */
const drainDelay = 1000;
/** Streams we reset whose late frames are still expected. */
const maxRemembered = 1000;
const drainPing = Buffer.from('draining', 'latin1');

class Http2ServerStream extends Http2Stream implements ServerStream {
  /** Asks for a tunnel. */
  readonly upgrade: boolean;

  constructor(id: number, owner: StreamOwner, sendWindow: number, upgrade: boolean) {
    super(id, owner, sendWindow);
    this.upgrade = upgrade;
  }

  /** Who takes the request, unless it ended with its head. */
  attach(receiver: RequestReceiver): void {
    this.receiver = receiver;
  }

  informational(head: ResponseHead): void {
    this.#head(head, false);
  }

  respond(head: ResponseHead, end: boolean): void {
    if (!this.#head(this.upgrade ? answerToUpgrade(head) : head, end)) return;
    this.tunnel = head.status === 101;
    if (!end) return;
    this.sending.clear();
    this.onSendEnd();
  }

  #head(head: ResponseHead, end: boolean): boolean {
    if (this.dead) return false;
    this.owner.outflow.writer.headers(this.id, [':status', String(head.status)], head.headers, end);
    return true;
  }

  /** A response that is complete must not look broken because its request is not wanted to its end. */
  protected override resetCode(reason: ResetReason): number {
    return this.localEnded ? ErrorCode.NoError : super.resetCode(reason);
  }
}

class Http2Server extends Session<Http2ServerStream> implements ServerConnection {
  readonly #handler: ServerHandler;
  readonly #heads = new HeadReader();
  /** Highest stream the client has opened. */
  #lastStream = 0;
  /** Streams above it are refused; said in GOAWAY. */
  #limit = maxStreamId;
  /** Ended by us, while the client may not know it yet. */
  readonly #abandoned = new Set<number>();
  #draining = false;
  #drainTimer: Timer | undefined;

  constructor(connection: Connection, handler: ServerHandler, options: Http2Options) {
    super(connection, options, true);
    this.#handler = handler;
  }

  /**
   * Says GOAWAY in two steps, so that no request which is already under way gets lost: first that no more should
   * come, and once the client has seen that, which was the last to be served.
   */
  drain(): void {
    if (this.#draining || this.closed) return;
    this.#draining = true;
    this.writer.goAway(maxStreamId, ErrorCode.NoError, '');
    this.writer.ping(drainPing, 0, false);
    this.#drainTimer = this.clock.schedule(drainDelay, () => this.#finishDraining());
  }

  onHead(streamId: number, fields: HeaderList, endStream: boolean, fault: HeadFault): void {
    const stream = this.streams.get(streamId);
    if (stream) {
      this.#onTrailers(stream, fields, endStream, fault);
    } else if (streamId % 2 === 0) {
      throw protocolError('a client opens odd streams');
    } else if (streamId <= this.#lastStream) {
      this.onLateFrame(FrameType.Headers, streamId);
    } else {
      this.#lastStream = streamId;
      this.#onRequest(streamId, fields, endStream, fault);
    }
  }

  protected get lastPeerStream(): number {
    return Math.min(this.#lastStream, this.#limit);
  }

  isIdle(streamId: number): boolean {
    return streamId > this.#lastStream || streamId % 2 === 0;
  }

  protected onLateFrame(type: number, streamId: number): void {
    if (type === FrameType.Headers) this.charge();
    if (this.#abandoned.has(streamId)) return;
    if (type === FrameType.Headers) throw new ConnectionError(ErrorCode.StreamClosed, 'HEADERS on a closed stream');
    this.failStream(streamId, ErrorCode.StreamClosed);
  }

  /** A client that leaves finishes what it began; there is nothing to do. */
  onGoAway(): void {}

  onPingAck(): void {
    if (this.#drainTimer) this.#finishDraining();
  }

  protected onPeerSettings(): void {}

  protected onStreamGone(): void {
    if (this.#draining && !this.#drainTimer && this.streams.size === 0) this.close();
  }

  protected onRetired(): void {
    this.#drainTimer?.cancel();
  }

  override resetStream(stream: Http2Stream, code: number): void {
    this.#abandon(stream.id);
    super.resetStream(stream, code);
  }

  override failStream(streamId: number, code: number): void {
    this.#abandon(streamId);
    super.failStream(streamId, code);
  }

  #onRequest(streamId: number, fields: HeaderList, endStream: boolean, fault: HeadFault): void {
    if (streamId > this.#limit || this.streams.size >= this.limits.maxConcurrentStreams) {
      this.failStream(streamId, ErrorCode.RefusedStream);
      return;
    }
    if (fault === 'too large') {
      this.writer.headers(streamId, [':status', '431'], [], true);
      if (endStream) this.chargeReset();
      else this.failStream(streamId, ErrorCode.NoError);
      return;
    }
    const head = fault ? undefined : this.#heads.request(fields);
    const { contentLength } = this.#heads;
    if (!head || (endStream && (contentLength > 0 || head.upgrade !== undefined))) {
      this.failStream(streamId, ErrorCode.ProtocolError);
      return;
    }
    const upgrade = head.upgrade !== undefined;
    const stream = new Http2ServerStream(streamId, this, this.peer.initialWindow, upgrade);
    if (contentLength >= 0 && !upgrade) stream.promise(contentLength);
    stream.remoteEnded = endStream;
    this.addStream(stream);
    stream.attach(this.#handler.onRequest(head, stream, endStream));
  }

  #onTrailers(stream: Http2ServerStream, fields: HeaderList, endStream: boolean, fault: HeadFault): void {
    if (stream.remoteEnded) this.failStream(stream.id, ErrorCode.StreamClosed);
    // Nothing but DATA belongs into a tunnel (RFC 9113 section 8.5).
    else if (stream.upgrade || !endStream || fault || !this.#heads.trailers(fields))
      this.failStream(stream.id, ErrorCode.ProtocolError);
    else this.endStream(stream, fields);
  }

  #finishDraining(): void {
    this.#drainTimer?.cancel();
    this.#drainTimer = undefined;
    if (this.closed) return;
    this.#limit = this.#lastStream;
    if (this.streams.size === 0) this.close();
    else this.writer.goAway(this.#limit, ErrorCode.NoError, '');
  }

  #abandon(streamId: number): void {
    if (this.#abandoned.size >= maxRemembered) {
      const [oldest] = this.#abandoned;
      this.#abandoned.delete(oldest);
    }
    this.#abandoned.add(streamId);
  }
}

/** Serves HTTP/2 on a connection on which the client speaks it from the first byte: by ALPN or by prior knowledge. */
export function createHttp2Server(
  connection: Connection,
  handler: ServerHandler,
  options: Http2Options,
): ServerConnection {
  return new Http2Server(connection, handler, options);
}
