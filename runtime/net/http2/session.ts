import type { Clock } from '../../model/index.ts';
import type { Connection, ConnectionHandler } from '../connection.ts';
import type { HeaderList, HttpLimits, ResetReason } from '../http.ts';
import { Budget } from './budget.ts';
import {
  ConnectionError,
  defaultMaxFrameSize,
  defaultWindow,
  ErrorCode,
  Flag,
  FrameType,
  frameSizeError,
  maxStreamId,
  protocolError,
  Setting,
} from './frame.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { HeaderBlocks, type HeadFault, type HeadSink, rejectSelfDependency } from './header-blocks.ts';
import { Outflow } from './outflow.ts';
import { PeerSettings } from './peer-settings.ts';
import type { Http2Stream, StreamOwner } from './stream.ts';
import { idleTicks, SessionTimers, type Watched } from './timers.ts';

/** What client and server may be told. */
export interface Http2Options {
  readonly limits: HttpLimits;
  readonly clock: Clock;
  /**
   * Bytes of one body that may be under way, or held back while its reader pauses.
   *
   * @default 1 MiB
   */
  readonly streamWindow?: number;
  /**
   * The same for all bodies of the connection together.
   *
   * @default 16 MiB
   */
  readonly connectionWindow?: number;
}

/** HPACK tables, ours and what we keep for the peer's. */
const tableSize = 16_384;
/**
 * Frames we take from servers and from peers of the mesh: DATA passes through piece by piece, so a large frame costs no
 * memory, and one read of a socket fits into one frame. Strangers who ask keep to the default.
 */
const largeFrameSize = 65_536;
/** Output that may pile up at a peer which does not read before a server stops reading from it. */
const maxBacklog = 262_144;

/** What client and server have in common: all of a connection but the meaning of heads. */
export abstract class Session<S extends Http2Stream>
  implements ConnectionHandler, FrameSink, HeadSink, StreamOwner, Watched
{
  readonly outflow: Outflow;
  readonly streamWindow: number;
  tick = 0;
  protected readonly limits: HttpLimits;
  protected readonly clock: Clock;
  protected readonly writer: FrameWriter;
  protected readonly streams = new Map<number, S>();
  protected readonly peer: PeerSettings;
  /** No stream is served any more: the connection is closing or closed. */
  protected closed = false;
  readonly #connection: Connection;
  readonly #server: boolean;
  readonly #reader: FrameReader;
  readonly #blocks: HeaderBlocks;
  readonly #timers: SessionTimers;
  /** Frames which cost us more than the peer; useful traffic earns them. */
  readonly #overhead: Budget;
  /** Streams that ended early by the peer's doing, its resets or its faults (CVE-2023-44487, CVE-2025-8671). */
  readonly #resets: Budget;
  readonly #connectionWindow: number;
  readonly #receiveFrameSize: number;
  #window: number;
  #consumed = 0;
  #settled = false;
  #dataStream: S | undefined;
  #dataEnds = false;
  #backlog = 0;
  #paused = false;

  constructor(connection: Connection, options: Http2Options, server: boolean) {
    const { limits, clock } = options;
    this.#connection = connection;
    this.#server = server;
    this.limits = limits;
    this.clock = clock;
    this.streamWindow = options.streamWindow ?? 1_048_576;
    this.#connectionWindow = Math.max(options.connectionWindow ?? 16_777_216, defaultWindow);
    this.#window = this.#connectionWindow;
    this.#overhead = new Budget(2000, 200, clock);
    this.#resets = new Budget(1000, 500, clock);
    this.peer = new PeerSettings(server);
    const isStranger = server && connection.peerIdentity === undefined;
    this.#receiveFrameSize = isStranger ? defaultMaxFrameSize : largeFrameSize;
    this.#reader = new FrameReader(this, this.#receiveFrameSize, server);
    this.#blocks = new HeaderBlocks(this, limits, tableSize);
    this.writer = new FrameWriter(connection, tableSize, (bytes, writable) => this.#onFlush(bytes, writable));
    this.outflow = new Outflow(this.writer);
    this.#timers = new SessionTimers(this, clock, limits);
    connection.handler = this;
    this.#greet();
    this.#timers.watchHead();
  }

  get active(): number {
    return this.streams.size;
  }

  /** The peer has said what it takes. */
  protected get settled(): boolean {
    return this.#settled;
  }

  get frames(): number {
    return this.#reader.frames;
  }

  get expectsMore(): boolean {
    return !this.#settled || this.#blocks.open || this.#reader.midFrame;
  }

  destroy(): void {
    this.#tearDown('connection');
    this.#connection.destroy();
  }

  onData(chunk: Buffer): void {
    if (this.closed) return;
    try {
      this.#reader.read(chunk);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.fail(error);
    }
    if (!this.closed) this.#timers.watchHead();
  }

  onEnd(): void {
    this.writer.flush();
    this.#tearDown('connection');
    this.#linger();
  }

  onDrain(): void {
    this.#backlog = 0;
    this.#resumeReading();
    this.outflow.unblock();
  }

  onClose(): void {
    this.#tearDown('connection');
    this.#timers.stopLingering();
  }

  onFrame(type: number, flags: number, streamId: number, payload: Buffer, start: number, end: number): void {
    this.#checkOrder(type, flags);
    switch (type) {
      case FrameType.Headers:
        if (streamId === 0) throw protocolError('HEADERS on stream 0');
        this.#blocks.onHeaders(flags, streamId, payload, start, end);
        break;
      case FrameType.Continuation:
        this.#blocks.onContinuation(flags, streamId, payload, start, end);
        break;
      case FrameType.WindowUpdate:
        this.#onWindowUpdate(streamId, payload, start, end);
        break;
      case FrameType.ResetStream:
        this.#onResetStream(streamId, payload, start, end);
        break;
      case FrameType.Settings:
        this.#onSettings(flags, streamId, payload, start, end);
        break;
      case FrameType.Ping:
        this.#onPing(flags, streamId, payload, start, end);
        break;
      case FrameType.GoAway:
        if (streamId !== 0) throw protocolError('GOAWAY on a stream');
        if (end - start < 8) throw frameSizeError('GOAWAY is too short');
        this.charge();
        this.onGoAway(payload.readUInt32BE(start) & maxStreamId);
        break;
      case FrameType.Priority:
        this.#onPriority(streamId, payload, start, end);
        break;
      case FrameType.PushPromise:
        throw protocolError('PUSH_PROMISE is not allowed');
      default:
        this.charge();
    }
  }

  onDataStart(streamId: number, length: number, padding: number, endStream: boolean): void {
    this.#checkOrder(FrameType.Data, 0);
    if (this.isIdle(streamId)) throw protocolError('DATA on an idle stream');
    if (length === 0 && !endStream) this.charge();
    this.#window -= length + padding;
    if (this.#window < 0) throw new ConnectionError(ErrorCode.FlowControlError, 'the connection window is exceeded');
    if (padding > 0) this.credit(padding);
    const stream = this.streams.get(streamId);
    if (!stream) {
      this.onLateFrame(FrameType.Data, streamId);
    } else if (stream.remoteEnded) {
      this.failStream(streamId, ErrorCode.StreamClosed);
    } else if (!stream.headReceived) {
      this.failStream(streamId, ErrorCode.ProtocolError);
    } else if (!stream.receiveStart(length, padding)) {
      this.failStream(streamId, ErrorCode.FlowControlError);
    } else {
      this.#dataStream = stream;
      this.#dataEnds = endStream;
    }
  }

  onDataChunk(chunk: Buffer): void {
    const stream = this.#dataStream;
    if (stream?.receive(chunk)) return;
    this.credit(chunk.length);
    if (!stream) return;
    this.#dataStream = undefined;
    this.failStream(stream.id, ErrorCode.ProtocolError);
  }

  onDataEnd(): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if (stream && this.#dataEnds) this.endStream(stream, undefined);
  }

  onSent(bytes: number): void {
    // A peer may acknowledge in small steps what we send in large ones.
    this.#overhead.give(4 + bytes / 1024);
  }

  credit(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed * 4 < this.#connectionWindow) return;
    this.writer.windowUpdate(0, this.#consumed);
    this.#window += this.#consumed;
    this.#consumed = 0;
  }

  resetStream(stream: Http2Stream, code: number): void {
    this.writer.resetStream(stream.id, code);
    this.onStreamEnd(stream);
  }

  onStreamEnd(stream: Http2Stream): void {
    if (!this.streams.delete(stream.id)) return;
    if (this.streams.size === 0) this.#timers.markIdle();
    this.onStreamGone(stream.id);
  }

  onTick(): void {
    this.tick++;
    for (const stream of [...this.streams.values()]) {
      if (stream.tunnel || this.tick - stream.progress <= idleTicks) continue;
      this.resetStream(stream, ErrorCode.Cancel);
      stream.abort('cancelled');
    }
  }

  onHeadTimeout(): void {
    this.fail(new ConnectionError(ErrorCode.EnhanceYourCalm, 'a frame was not finished in time'));
  }

  onIdleTimeout(): void {
    this.close();
  }

  onLingerTimeout(): void {
    this.#connection.destroy();
  }

  abstract onHead(streamId: number, fields: HeaderList, endStream: boolean, fault: HeadFault): void;
  /** Highest stream of the peer that was or will be served. */
  protected abstract readonly lastPeerStream: number;
  /** Neither side has used this stream. */
  protected abstract isIdle(streamId: number): boolean;
  /** DATA or HEADERS for a stream that has ended. */
  protected abstract onLateFrame(type: number, streamId: number): void;
  protected abstract onGoAway(lastStreamId: number): void;
  protected abstract onPingAck(): void;
  protected abstract onPeerSettings(): void;
  protected abstract onStreamGone(streamId: number): void;
  /** No stream can be opened any more; the open ones are about to be told. */
  protected abstract onRetired(): void;

  protected addStream(stream: S): void {
    this.streams.set(stream.id, stream);
    this.#overhead.give(4);
    this.#timers.watchStreams();
  }

  protected endStream(stream: S, trailers: HeaderList | undefined): void {
    if (!stream.receiveEnd(trailers)) this.failStream(stream.id, ErrorCode.ProtocolError);
  }

  /** The peer broke the rules of one stream. */
  protected failStream(streamId: number, code: number): void {
    this.chargeReset();
    this.writer.resetStream(streamId, code);
    const stream = this.streams.get(streamId);
    if (!stream) return;
    this.onStreamEnd(stream);
    stream.abort('protocol');
  }

  /** A server's streams are cheap to open and dear to serve; a server that refuses many is only busy. */
  protected chargeReset(): void {
    if (this.#server && !this.#resets.take())
      throw new ConnectionError(ErrorCode.EnhanceYourCalm, 'too many streams were reset');
  }

  /** Says what the peer did wrong, gives all streams up and closes. */
  protected fail(error: ConnectionError): void {
    this.#sayGoodbye(error.code, error.message, 'protocol');
  }

  /** Closes in order, when no stream is open. */
  protected close(): void {
    this.#sayGoodbye(ErrorCode.NoError, '', 'connection');
  }

  #sayGoodbye(code: number, message: string, reason: ResetReason): void {
    if (this.closed) return;
    this.writer.goAway(this.lastPeerStream, code, message);
    this.writer.flush();
    this.#tearDown(reason);
    this.#linger();
  }

  #tearDown(reason: ResetReason): void {
    if (this.closed) return;
    this.closed = true;
    this.#reader.stop();
    this.writer.stop();
    this.#timers.stop();
    this.onRetired();
    const streams = [...this.streams.values()];
    this.streams.clear();
    for (const stream of streams) stream.abort(reason);
  }

  /** Closes our side, and waits a little for the peer's so that what was written last arrives. */
  #linger(): void {
    this.#connection.end();
    this.#resumeReading();
    this.#timers.linger();
  }

  #greet(): void {
    const { maxConcurrentStreams, maxHeadBytes } = this.limits;
    if (!this.#server) this.writer.preface();
    this.writer.settings([
      ...(this.#server
        ? [Setting.MaxConcurrentStreams, maxConcurrentStreams, Setting.EnableConnectProtocol, 1]
        : [Setting.EnablePush, 0]),
      ...[Setting.HeaderTableSize, tableSize, Setting.InitialWindowSize, this.streamWindow],
      ...[Setting.MaxFrameSize, this.#receiveFrameSize, Setting.MaxHeaderListSize, maxHeadBytes],
    ]);
    if (this.#connectionWindow > defaultWindow) this.writer.windowUpdate(0, this.#connectionWindow - defaultWindow);
  }

  #checkOrder(type: number, flags: number): void {
    if (!this.#settled && (type !== FrameType.Settings || (flags & Flag.Ack) !== 0)) {
      throw protocolError('the first frame must be SETTINGS');
    }
    if (this.#blocks.open && type !== FrameType.Continuation) throw protocolError('a header block was interrupted');
  }

  #onWindowUpdate(streamId: number, payload: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw frameSizeError('WINDOW_UPDATE must have 4 bytes');
    this.charge();
    const increment = payload.readUInt32BE(start) & maxStreamId;
    if (streamId === 0) {
      if (increment === 0) throw protocolError('WINDOW_UPDATE of 0');
      if (!this.outflow.widen(increment)) {
        throw new ConnectionError(ErrorCode.FlowControlError, 'the connection window overflows');
      }
      return;
    }
    if (this.isIdle(streamId)) throw protocolError('WINDOW_UPDATE on an idle stream');
    const stream = this.streams.get(streamId);
    if (!stream) return;
    if (increment === 0) this.failStream(streamId, ErrorCode.ProtocolError);
    else if (!stream.sending.widen(increment)) this.failStream(streamId, ErrorCode.FlowControlError);
  }

  #onResetStream(streamId: number, payload: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw frameSizeError('RST_STREAM must have 4 bytes');
    if (streamId === 0 || this.isIdle(streamId)) throw protocolError('RST_STREAM on an idle stream');
    const stream = this.streams.get(streamId);
    if (!stream) {
      this.charge();
      return;
    }
    this.chargeReset();
    this.onStreamEnd(stream);
    stream.onReset(payload.readUInt32BE(start));
  }

  #onSettings(flags: number, streamId: number, payload: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw protocolError('SETTINGS on a stream');
    if (flags & Flag.Ack) {
      if (end !== start) throw frameSizeError('an acknowledgement with settings');
      return;
    }
    this.charge();
    const { peer } = this;
    const initialWindow = peer.initialWindow;
    peer.read(payload, start, end);
    this.#settled = true;
    this.writer.settingsAck();
    this.writer.maxFrameSize = peer.maxFrameSize;
    this.writer.encoder.setMaxSize(peer.headerTableSize);
    if (peer.initialWindow !== initialWindow) this.#moveWindows(peer.initialWindow - initialWindow);
    this.onPeerSettings();
  }

  #moveWindows(difference: number): void {
    for (const stream of [...this.streams.values()]) {
      if (stream.sending.widen(difference)) continue;
      throw new ConnectionError(ErrorCode.FlowControlError, 'a stream window overflows');
    }
  }

  #onPing(flags: number, streamId: number, payload: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw protocolError('PING on a stream');
    if (end - start !== 8) throw frameSizeError('PING must have 8 bytes');
    this.charge();
    if (flags & Flag.Ack) this.onPingAck();
    else this.writer.ping(payload, start, true);
  }

  #onPriority(streamId: number, payload: Buffer, start: number, end: number): void {
    if (streamId === 0) throw protocolError('PRIORITY on stream 0');
    this.charge();
    if (end - start !== 5) this.failStream(streamId, ErrorCode.FrameSizeError);
    else rejectSelfDependency(streamId, payload, start);
  }

  #onFlush(bytes: number, writable: boolean): void {
    if (writable) {
      this.outflow.pump();
      return;
    }
    this.outflow.block();
    this.#backlog += bytes;
    // Bodies wait in their queues: this is a peer that asks and never reads the answers. Only servers stop reading,
    // or two sides could wait for each other.
    if (!this.#server || this.#paused || this.#backlog < maxBacklog) return;
    this.#paused = true;
    this.#connection.pause();
  }

  #resumeReading(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#connection.resume();
  }

  /** Takes note of a frame that costs us more than the peer. */
  protected charge(): void {
    if (!this.#overhead.take()) throw new ConnectionError(ErrorCode.EnhanceYourCalm, 'too many frames without use');
  }
}
