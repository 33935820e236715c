import type { Clock } from '../../model/index.ts';
import type { Connection, ConnectionHandler } from '../connection.ts';
import type { HeaderList, HttpLimits, ResetReason } from '../http.ts';
import { UnfinishedHead } from '../unfinished-head.ts';
import { Backlog } from './backlog.ts';
import { Patience } from './budget.ts';
import { ConnectionError, defaultMaxFrameSize, ErrorCode, FrameType, protocolError, Setting } from './frame.ts';
import { FrameDispatcher, type FrameTarget } from './frame-dispatcher.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { FrameWriter, type WriteListener } from './frame-writer.ts';
import type { HeadFault } from './header-blocks.ts';
import type { Http2Options } from './options.ts';
import { Outflow } from './outflow.ts';
import { PeerSettings } from './peer-settings.ts';
import { ReceiveWindow } from './receive-window.ts';
import type { Http2Stream, StreamOwner } from './stream.ts';
import { StreamTable } from './stream-table.ts';
import { idleTicks, SessionTimers, type Watched } from './timers.ts';

/** HPACK tables, ours and what we keep for the peer's. */
const tableSize = 16_384;
/**
 * Frames we take from servers and from peers of the mesh: DATA passes through piece by piece, so a large frame costs no
 * memory, and has fewer heads. Strangers who ask keep to the default.
 */
const largeFrameSize = 65_536;

/** What client and server have in common: all of a connection but the meaning of heads. */
export abstract class Session<S extends Http2Stream>
  implements ConnectionHandler, FrameSink, FrameTarget, StreamOwner, Watched, WriteListener
{
  readonly outflow: Outflow;
  readonly streamWindow: number;
  tick = 0;
  protected readonly limits: HttpLimits;
  protected readonly clock: Clock;
  protected readonly writer: FrameWriter;
  protected readonly streams = new StreamTable<S>();
  protected readonly peer: PeerSettings;
  /** No stream is served any more: the connection is closing or closed. */
  protected closed = false;
  readonly #connection: Connection;
  readonly #server: boolean;
  readonly #reader: FrameReader;
  readonly #dispatcher: FrameDispatcher;
  readonly #timers: SessionTimers;
  readonly #patience: Patience;
  readonly #window: ReceiveWindow;
  readonly #backlog: Backlog;
  readonly #unfinished = new UnfinishedHead();
  #dataStream: S | undefined;
  #dataEnds = false;

  constructor(connection: Connection, options: Http2Options, server: boolean) {
    const { limits, clock } = options;
    this.#connection = connection;
    this.#server = server;
    this.limits = limits;
    this.clock = clock;
    this.streamWindow = options.streamWindow ?? 1_048_576;
    this.#backlog = new Backlog(connection);
    this.#patience = new Patience(clock);
    this.peer = new PeerSettings(server);
    const isStranger = server && connection.peerIdentity === undefined;
    const frameSize = isStranger ? defaultMaxFrameSize : largeFrameSize;
    this.#reader = new FrameReader(this, frameSize, server);
    this.#dispatcher = new FrameDispatcher(this, limits, tableSize);
    this.writer = new FrameWriter(connection, tableSize, this);
    this.outflow = new Outflow(this.writer);
    this.#window = new ReceiveWindow(this.writer, options.connectionWindow ?? 16_777_216);
    this.#timers = new SessionTimers(this, clock, limits);
    connection.handler = this;
    this.#greet(frameSize);
    this.#timers.watchHead();
  }

  get active(): number {
    return this.streams.size;
  }

  /** The peer has said what it takes. */
  protected get settled(): boolean {
    return this.#dispatcher.settled;
  }

  get frames(): number {
    return this.#reader.frames;
  }

  get expectsMore(): boolean {
    return this.#dispatcher.expectsMore || this.#reader.midFrame;
  }

  destroy(): void {
    this.#tearDown('connection');
    this.#connection.destroy();
  }

  onData(chunk: Buffer): void {
    if (this.closed) return;
    try {
      this.#reader.read(chunk);
      const held = this.#reader.held + this.#dispatcher.held;
      if (!this.#unfinished.hold(held))
        throw new ConnectionError(ErrorCode.EnhanceYourCalm, 'too many unfinished heads');
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
    this.#backlog.clear();
    this.outflow.unblock();
  }

  onClose(): void {
    this.#tearDown('connection');
    this.#timers.stopLingering();
  }

  onWrite(bytes: number, writable: boolean): void {
    if (writable) return;
    this.outflow.block();
    // Only servers stop reading, or two sides could wait for each other.
    if (this.#server) this.#backlog.add(bytes);
  }

  onFlush(): void {
    this.outflow.pump();
  }

  onFrame(type: number, flags: number, streamId: number, payload: Buffer, start: number, end: number): void {
    this.#dispatcher.dispatch(type, flags, streamId, payload, start, end);
  }

  onDataStart(streamId: number, length: number, padding: number, endStream: boolean): void {
    this.#dispatcher.checkOrder(FrameType.Data, 0);
    if (this.isIdle(streamId)) throw protocolError('DATA on an idle stream');
    if (length === 0 && !endStream) this.charge();
    this.#window.take(length + padding);
    if (padding > 0) this.#window.credit(padding);
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
    this.#patience.earn(4 + bytes / 1024);
  }

  credit(bytes: number): void {
    this.#window.credit(bytes);
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
    for (const stream of this.streams.values()) {
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

  onWindow(increment: number): void {
    if (this.outflow.widen(increment)) return;
    throw new ConnectionError(ErrorCode.FlowControlError, 'the connection window overflows');
  }

  onStreamWindow(streamId: number, increment: number): void {
    const stream = this.streams.get(streamId);
    if (!stream) return;
    if (increment === 0) this.failStream(streamId, ErrorCode.ProtocolError);
    else if (!stream.sending.widen(increment)) this.failStream(streamId, ErrorCode.FlowControlError);
  }

  onResetStream(streamId: number, code: number): void {
    const stream = this.streams.get(streamId);
    if (!stream) {
      this.charge();
      return;
    }
    this.chargeReset();
    this.onStreamEnd(stream);
    stream.onReset(code);
  }

  onSettings(payload: Buffer, start: number, end: number): void {
    const { peer } = this;
    const initialWindow = peer.initialWindow;
    peer.read(payload, start, end);
    this.writer.settingsAck();
    this.writer.maxFrameSize = peer.maxFrameSize;
    this.writer.encoder.setMaxSize(peer.headerTableSize);
    if (peer.initialWindow !== initialWindow) this.#moveWindows(peer.initialWindow - initialWindow);
    this.onPeerSettings();
  }

  onPing(payload: Buffer, at: number): void {
    this.writer.ping(payload, at, true);
  }

  charge(): void {
    this.#patience.charge();
  }

  abstract onHead(streamId: number, fields: HeaderList, endStream: boolean, fault: HeadFault): void;
  abstract isIdle(streamId: number): boolean;
  abstract onGoAway(lastStreamId: number): void;
  abstract onPingAck(): void;
  /** Highest stream of the peer that was or will be served. */
  protected abstract readonly lastPeerStream: number;
  /** DATA or HEADERS for a stream that has ended. */
  protected abstract onLateFrame(type: number, streamId: number): void;
  protected abstract onPeerSettings(): void;
  protected abstract onStreamGone(streamId: number): void;
  /** No stream can be opened any more; the open ones are about to be told. */
  protected abstract onRetired(): void;

  protected addStream(stream: S): void {
    this.streams.add(stream);
    this.#patience.earn(4);
    this.#timers.watchStreams();
  }

  protected endStream(stream: S, trailers: HeaderList | undefined): void {
    if (!stream.receiveEnd(trailers)) this.failStream(stream.id, ErrorCode.ProtocolError);
  }

  /** The peer broke the rules of one stream. */
  failStream(streamId: number, code: number): void {
    this.chargeReset();
    this.writer.resetStream(streamId, code);
    const stream = this.streams.get(streamId);
    if (!stream) return;
    this.onStreamEnd(stream);
    stream.abort('protocol');
  }

  /** A server's streams are cheap to open and dear to serve; a server that refuses many is only busy. */
  protected chargeReset(): void {
    if (this.#server) this.#patience.chargeReset();
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
    this.#unfinished.hold(0);
    this.#reader.stop();
    this.writer.stop();
    this.#timers.stop();
    this.onRetired();
    const streams = this.streams.values();
    this.streams.clear();
    for (const stream of streams) stream.abort(reason);
  }

  /** Closes our side, and waits a little for the peer's so that what was written last arrives. */
  #linger(): void {
    this.#connection.end();
    this.#backlog.clear();
    this.#timers.linger();
  }

  #greet(frameSize: number): void {
    const { maxConcurrentStreams, maxHeadBytes } = this.limits;
    if (!this.#server) this.writer.preface();
    this.writer.settings([
      ...(this.#server
        ? [Setting.MaxConcurrentStreams, maxConcurrentStreams, Setting.EnableConnectProtocol, 1]
        : [Setting.EnablePush, 0]),
      ...[Setting.HeaderTableSize, tableSize, Setting.InitialWindowSize, this.streamWindow],
      ...[Setting.MaxFrameSize, frameSize, Setting.MaxHeaderListSize, maxHeadBytes],
    ]);
    this.#window.announce();
  }

  #moveWindows(difference: number): void {
    for (const stream of this.streams.values()) {
      if (stream.sending.widen(difference)) continue;
      throw new ConnectionError(ErrorCode.FlowControlError, 'a stream window overflows');
    }
  }
}
