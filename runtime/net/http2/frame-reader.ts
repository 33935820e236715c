import { clientPreface, Flag, FrameType, frameHeadSize, frameSizeError, maxStreamId, protocolError } from './frame.ts';

/** Takes the frames of a connection. Whatever it throws leaves {@link FrameReader.read}. */
export interface FrameSink {
  /** A whole frame other than DATA. The payload is valid during the call only. */
  onFrame(type: number, flags: number, streamId: number, payload: Buffer, start: number, end: number): void;
  /** The head of a DATA frame: `length` bytes will follow by `onData`, and `padding` bytes were or will be dropped. */
  onDataStart(streamId: number, length: number, padding: number, endStream: boolean): void;
  /** A part of a DATA frame, as it arrived: a view of the read buffer. */
  onDataChunk(chunk: Buffer): void;
  onDataEnd(): void;
}

const State = { Preface: 0, Head: 1, Payload: 2, PadLength: 3, Data: 4, Padding: 5, Stopped: 6 } as const;

/** Cuts bytes into frames. DATA passes through as it comes; nothing is copied unless a read ends inside a frame. */
export class FrameReader {
  /** Frames begun so far. */
  frames = 0;
  readonly #sink: FrameSink;
  readonly #maxFrameSize: number;
  #state: number;
  #matched = 0;
  readonly #head = Buffer.alloc(frameHeadSize);
  #headFilled = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  #payload: Buffer | undefined;
  #payloadFilled = 0;
  /** Bytes of the frame that are still to come. */
  #left = 0;
  #padding = 0;

  /** With `preface`, the client's preface must come first. */
  constructor(sink: FrameSink, maxFrameSize: number, preface: boolean) {
    this.#sink = sink;
    this.#maxFrameSize = maxFrameSize;
    this.#state = preface ? State.Preface : State.Head;
  }

  /** A frame other than DATA has begun and not ended. */
  get midFrame(): boolean {
    return this.#state === State.Payload || (this.#state === State.Head && this.#headFilled > 0);
  }

  /** Bytes of memory for a frame that has not ended. */
  get held(): number {
    return this.#payload?.length ?? 0;
  }

  /** Drops everything from now on. */
  stop(): void {
    this.#state = State.Stopped;
    this.#payload = undefined;
  }

  read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      switch (this.#state) {
        case State.Head:
          at = this.#readHead(chunk, at);
          break;
        case State.Payload:
          at = this.#readPayload(chunk, at);
          break;
        case State.Data:
          at = this.#readData(chunk, at);
          break;
        case State.PadLength:
          this.#startData(chunk[at++]);
          break;
        case State.Padding:
          at = this.#skipPadding(chunk, at);
          break;
        case State.Preface:
          at = this.#matchPreface(chunk, at);
          break;
        default:
          return;
      }
    }
  }

  #matchPreface(chunk: Buffer, start: number): number {
    const end = Math.min(chunk.length, start + clientPreface.length - this.#matched);
    for (let at = start; at < end; at++) {
      if (chunk[at] !== clientPreface[this.#matched++]) throw protocolError('not an HTTP/2 preface');
    }
    if (this.#matched === clientPreface.length) this.#state = State.Head;
    return end;
  }

  #readHead(chunk: Buffer, at: number): number {
    if (this.#headFilled === 0 && chunk.length - at >= frameHeadSize) {
      this.#begin(chunk, at);
      return this.#state === State.Payload ? this.#wholePayload(chunk, at + frameHeadSize) : at + frameHeadSize;
    }
    const end = Math.min(chunk.length, at + frameHeadSize - this.#headFilled);
    chunk.copy(this.#head, this.#headFilled, at, end);
    this.#headFilled += end - at;
    if (this.#headFilled === frameHeadSize) {
      this.#headFilled = 0;
      this.#begin(this.#head, 0);
    }
    return end;
  }

  #begin(head: Buffer, at: number): void {
    const length = (head[at] << 16) | (head[at + 1] << 8) | head[at + 2];
    this.#type = head[at + 3];
    this.#flags = head[at + 4];
    this.#streamId = head.readUInt32BE(at + 5) & maxStreamId;
    this.frames++;
    if (length > this.#maxFrameSize) throw frameSizeError(`a frame of ${length} bytes`);
    this.#left = length;
    if (this.#type === FrameType.Data) this.#beginData();
    else if (length === 0) this.#sink.onFrame(this.#type, this.#flags, this.#streamId, head, at, at);
    else this.#state = State.Payload;
  }

  /** The common case: the payload lies in the chunk, where it is handed over without a copy. */
  #wholePayload(chunk: Buffer, start: number): number {
    const end = start + this.#left;
    if (end > chunk.length) return start;
    this.#endFrame();
    this.#sink.onFrame(this.#type, this.#flags, this.#streamId, chunk, start, end);
    return end;
  }

  #readPayload(chunk: Buffer, at: number): number {
    this.#payload ??= Buffer.allocUnsafe(this.#left);
    const end = Math.min(chunk.length, at + this.#left);
    chunk.copy(this.#payload, this.#payloadFilled, at, end);
    this.#payloadFilled += end - at;
    this.#left -= end - at;
    if (this.#left > 0) return end;
    const payload = this.#payload;
    this.#payload = undefined;
    this.#payloadFilled = 0;
    this.#endFrame();
    this.#sink.onFrame(this.#type, this.#flags, this.#streamId, payload, 0, payload.length);
    return end;
  }

  #beginData(): void {
    if ((this.#flags & Flag.Padded) === 0) {
      this.#startData(-1);
      return;
    }
    if (this.#left === 0) throw frameSizeError('a padded frame without padding');
    this.#state = State.PadLength;
  }

  /** `padLength` is -1 when the frame has none. */
  #startData(padLength: number): void {
    const payload = this.#left;
    this.#padding = Math.max(padLength, 0);
    this.#left = payload - (padLength + 1);
    if (this.#left < 0) throw protocolError('more padding than payload');
    this.#state = State.Data;
    this.#sink.onDataStart(this.#streamId, this.#left, payload - this.#left, (this.#flags & Flag.EndStream) !== 0);
    if (this.#left === 0) this.#endData();
  }

  #readData(chunk: Buffer, start: number): number {
    const end = Math.min(chunk.length, start + this.#left);
    this.#left -= end - start;
    this.#sink.onDataChunk(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end));
    if (this.#left === 0) this.#endData();
    return end;
  }

  #endData(): void {
    if (this.#state === State.Stopped) return;
    this.#state = this.#padding > 0 ? State.Padding : State.Head;
    this.#sink.onDataEnd();
  }

  #skipPadding(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#padding);
    this.#padding -= end - at;
    if (this.#padding === 0) this.#endFrame();
    return end;
  }

  #endFrame(): void {
    if (this.#state !== State.Stopped) this.#state = State.Head;
  }
}
