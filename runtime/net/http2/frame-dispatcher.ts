import type { HttpLimits } from '../http.ts';
import { ErrorCode, Flag, FrameType, frameSizeError, maxStreamId, protocolError } from './frame.ts';
import { HeaderBlocks, type HeadSink, rejectSelfDependency } from './header-blocks.ts';

/** What frames other than DATA mean to a connection. */
export interface FrameTarget extends HeadSink {
  /** Takes note of a frame that costs us more than the peer; throws when there are too many. */
  charge(): void;
  /** Neither side has used this stream. */
  isIdle(streamId: number): boolean;
  failStream(streamId: number, code: number): void;
  onSettings(payload: Buffer, start: number, end: number): void;
  /** `payload` holds the eight bytes to send back at `at`. */
  onPing(payload: Buffer, at: number): void;
  onPingAck(): void;
  onGoAway(lastStreamId: number): void;
  onWindow(increment: number): void;
  onStreamWindow(streamId: number, increment: number): void;
  onResetStream(streamId: number, code: number): void;
}

/** Checks that frames come in order, whole and where they may (RFC 9113 section 6), and tells what they say. */
export class FrameDispatcher {
  /** The peer has sent its first SETTINGS. */
  settled = false;
  readonly #target: FrameTarget;
  readonly #blocks: HeaderBlocks;

  constructor(target: FrameTarget, limits: HttpLimits, tableSize: number) {
    this.#target = target;
    this.#blocks = new HeaderBlocks(target, limits, tableSize);
  }

  /** The peer must send more before it may be silent. */
  get expectsMore(): boolean {
    return !this.settled || this.#blocks.open;
  }

  /** Bytes of a header block that has not ended. */
  get held(): number {
    return this.#blocks.held;
  }

  checkOrder(type: number, flags: number): void {
    if (!this.settled && (type !== FrameType.Settings || (flags & Flag.Ack) !== 0)) {
      throw protocolError('the first frame must be SETTINGS');
    }
    if (this.#blocks.open && type !== FrameType.Continuation) throw protocolError('a header block was interrupted');
  }

  /** Takes a whole frame other than DATA. */
  dispatch(type: number, flags: number, streamId: number, payload: Buffer, start: number, end: number): void {
    this.checkOrder(type, flags);
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
        if (end - start !== 4) throw frameSizeError('RST_STREAM must have 4 bytes');
        if (streamId === 0 || this.#target.isIdle(streamId)) throw protocolError('RST_STREAM on an idle stream');
        this.#target.onResetStream(streamId, payload.readUInt32BE(start));
        break;
      case FrameType.Settings:
        this.#onSettings(flags, streamId, payload, start, end);
        break;
      case FrameType.Ping:
        if (streamId !== 0) throw protocolError('PING on a stream');
        if (end - start !== 8) throw frameSizeError('PING must have 8 bytes');
        this.#target.charge();
        if (flags & Flag.Ack) this.#target.onPingAck();
        else this.#target.onPing(payload, start);
        break;
      case FrameType.GoAway:
        if (streamId !== 0) throw protocolError('GOAWAY on a stream');
        if (end - start < 8) throw frameSizeError('GOAWAY is too short');
        this.#target.charge();
        this.#target.onGoAway(payload.readUInt32BE(start) & maxStreamId);
        break;
      case FrameType.Priority:
        if (streamId === 0) throw protocolError('PRIORITY on stream 0');
        this.#target.charge();
        if (end - start !== 5) this.#target.failStream(streamId, ErrorCode.FrameSizeError);
        else rejectSelfDependency(streamId, payload, start);
        break;
      case FrameType.PushPromise:
        throw protocolError('PUSH_PROMISE is not allowed');
      default:
        this.#target.charge();
    }
  }

  #onWindowUpdate(streamId: number, payload: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw frameSizeError('WINDOW_UPDATE must have 4 bytes');
    this.#target.charge();
    const increment = payload.readUInt32BE(start) & maxStreamId;
    if (streamId === 0) {
      if (increment === 0) throw protocolError('WINDOW_UPDATE of 0');
      this.#target.onWindow(increment);
      return;
    }
    if (this.#target.isIdle(streamId)) throw protocolError('WINDOW_UPDATE on an idle stream');
    this.#target.onStreamWindow(streamId, increment);
  }

  #onSettings(flags: number, streamId: number, payload: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw protocolError('SETTINGS on a stream');
    if (flags & Flag.Ack) {
      if (end !== start) throw frameSizeError('an acknowledgement with settings');
      return;
    }
    this.#target.charge();
    this.settled = true;
    this.#target.onSettings(payload, start, end);
  }
}
