import type { Connection } from '../connection.ts';
import { writeLatin1 } from '../latin1.ts';
import { atTurnEnd, type TurnEnd } from '../turn.ts';
import { clientPreface, defaultMaxFrameSize, Flag, FrameType, frameHeadSize } from './frame.ts';
import { HpackEncoder } from './hpack/encoder.ts';

const bufferSize = 65_536;
/** Chunks from this size on are passed on as they are; below it, a copy costs less than a write of its own. */
const passThrough = 32_768;
const maxPooled = 16;
/** Buffers are held only from the first frame of a turn to its flush, so that few serve many connections. */
const pool: Buffer[] = [];

/** Serialises frames. What arises in one turn of the event loop leaves together at its end. */
export class FrameWriter implements TurnEnd {
  /** What the peer accepts. */
  maxFrameSize = defaultMaxFrameSize;
  readonly encoder: HpackEncoder;
  readonly #connection: Connection;
  readonly #onFlush: (bytes: number, writable: boolean) => void;
  #buffer: Buffer | undefined;
  #used = 0;
  /** What precedes the buffer. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  /** Where in the buffer the last frame begins, if END_STREAM may yet be set on it. */
  #lastFrame = -1;
  #scheduled = false;
  #stopped = false;

  constructor(connection: Connection, tableLimit: number, onFlush: (bytes: number, writable: boolean) => void) {
    this.#connection = connection;
    this.encoder = new HpackEncoder(tableLimit);
    this.#onFlush = onFlush;
  }

  /** Bytes that wait for the flush. */
  get pending(): number {
    return this.#partBytes + this.#used;
  }

  preface(): void {
    const buffer = this.#reserve(clientPreface.length);
    this.#used += clientPreface.copy(buffer, this.#used);
  }

  /** `settings` is `[identifier, value, …]`. */
  settings(settings: readonly number[]): void {
    const buffer = this.#control(FrameType.Settings, 0, 0, settings.length * 3);
    for (let i = 0; i < settings.length; i += 2) {
      this.#used = buffer.writeUInt16BE(settings[i], this.#used);
      this.#used = buffer.writeUInt32BE(settings[i + 1], this.#used);
    }
  }

  settingsAck(): void {
    this.#control(FrameType.Settings, Flag.Ack, 0, 0);
  }

  /** `payload` holds the eight opaque bytes at `offset`. */
  ping(payload: Buffer, offset: number, ack: boolean): void {
    const buffer = this.#control(FrameType.Ping, ack ? Flag.Ack : 0, 0, 8);
    this.#used += payload.copy(buffer, this.#used, offset, offset + 8);
  }

  goAway(lastStreamId: number, code: number, reason: string): void {
    const buffer = this.#control(FrameType.GoAway, 0, 0, 8 + reason.length);
    this.#used = buffer.writeUInt32BE(lastStreamId, this.#used);
    this.#used = buffer.writeUInt32BE(code, this.#used);
    this.#used += writeLatin1(buffer, reason, this.#used);
  }

  resetStream(streamId: number, code: number): void {
    const buffer = this.#control(FrameType.ResetStream, 0, streamId, 4);
    this.#used = buffer.writeUInt32BE(code, this.#used);
  }

  windowUpdate(streamId: number, increment: number): void {
    const buffer = this.#control(FrameType.WindowUpdate, 0, streamId, 4);
    this.#used = buffer.writeUInt32BE(increment, this.#used);
  }

  headers(streamId: number, pseudo: readonly string[], fields: readonly string[], endStream: boolean): void {
    const buffer = this.#reserve(frameHeadSize + HpackEncoder.bound(pseudo, fields));
    const frame = this.#used;
    const start = frame + frameHeadSize;
    const end = this.encoder.encode(buffer, start, pseudo, fields);
    if (end - start > this.maxFrameSize) {
      this.#fragments(streamId, Buffer.from(buffer.subarray(start, end)), endStream);
      return;
    }
    writeHead(
      buffer,
      frame,
      end - start,
      FrameType.Headers,
      Flag.EndHeaders | (endStream ? Flag.EndStream : 0),
      streamId,
    );
    this.#used = end;
    this.#lastFrame = frame;
  }

  #fragments(streamId: number, block: Buffer, endStream: boolean): void {
    let flags: number = endStream ? Flag.EndStream : 0;
    let type: number = FrameType.Headers;
    for (let at = 0; at < block.length; at += this.maxFrameSize) {
      const end = Math.min(block.length, at + this.maxFrameSize);
      if (end === block.length) flags |= Flag.EndHeaders;
      const buffer = this.#control(type, flags, streamId, end - at);
      this.#used += block.copy(buffer, this.#used, at, end);
      flags = 0;
      type = FrameType.Continuation;
    }
  }

  /** At most {@link maxFrameSize} bytes. The chunk must not change until it was flushed. */
  data(streamId: number, chunk: Buffer, start: number, end: number, endStream: boolean): void {
    const length = end - start;
    const large = length >= passThrough;
    const frame = frameHeadSize + (large ? 0 : length);
    const buffer = this.#reserve(frame);
    const at = this.#used;
    writeHead(buffer, at, length, FrameType.Data, endStream ? Flag.EndStream : 0, streamId);
    this.#used += frame;
    if (large) {
      this.#spill();
      this.#parts.push(length === chunk.length ? chunk : chunk.subarray(start, end));
      this.#partBytes += length;
    } else {
      chunk.copy(buffer, at + frameHeadSize, start, end);
      this.#lastFrame = at;
    }
  }

  /** Sets END_STREAM on the stream's last frame if that is still at hand; else sends an empty one. */
  endStream(streamId: number): void {
    const frame = this.#lastFrame;
    const buffer = this.#buffer;
    if (frame >= 0 && buffer && buffer.readUInt32BE(frame + 5) === streamId) {
      buffer[frame + 4] |= Flag.EndStream;
      this.#lastFrame = -1;
    } else {
      this.#control(FrameType.Data, Flag.EndStream, streamId, 0);
    }
  }

  /** Writes now what waits for the end of the turn. */
  flush(): void {
    const bytes = this.pending;
    if (bytes === 0 || this.#stopped) return;
    const parts = this.#parts;
    if (parts.length > 0) this.#parts = [];
    this.#partBytes = 0;
    let writable = true;
    for (const part of parts) writable = this.#connection.write(part);
    if (this.#used > 0) writable = this.#connection.write(this.#takeUsed());
    this.#onFlush(bytes, writable);
  }

  /** Drops what waits and what comes. */
  stop(): void {
    this.#stopped = true;
    this.#parts = [];
    this.#partBytes = 0;
    if (this.#used > 0) this.#takeUsed();
  }

  onTurnEnd(): void {
    this.#scheduled = false;
    this.flush();
  }

  /** Begins a frame of known length; the caller fills the payload in. */
  #control(type: number, flags: number, streamId: number, length: number): Buffer {
    const buffer = this.#reserve(frameHeadSize + length);
    writeHead(buffer, this.#used, length, type, flags, streamId);
    this.#used += frameHeadSize;
    return buffer;
  }

  #reserve(size: number): Buffer {
    if (this.#stopped) this.#used = 0;
    else if (!this.#scheduled) {
      this.#scheduled = true;
      atTurnEnd(this);
    }
    this.#lastFrame = -1;
    if (this.#buffer && this.#used + size <= this.#buffer.length) return this.#buffer;
    if (this.#buffer) this.#spill();
    this.#buffer = size > bufferSize ? Buffer.allocUnsafe(size) : (pool.pop() ?? Buffer.allocUnsafeSlow(bufferSize));
    return this.#buffer;
  }

  #spill(): void {
    this.#partBytes += this.#used;
    this.#parts.push(this.#takeUsed());
  }

  /** Copies a small part out and gives the buffer back; a buffer that is mostly full goes as it is. */
  #takeUsed(): Buffer {
    const buffer = this.#buffer!;
    const used = this.#used;
    this.#buffer = undefined;
    this.#used = 0;
    this.#lastFrame = -1;
    if (used * 2 > buffer.length) return buffer.subarray(0, used);
    const copy = Buffer.allocUnsafe(used);
    buffer.copy(copy, 0, 0, used);
    if (pool.length < maxPooled && buffer.length === bufferSize) pool.push(buffer);
    return copy;
  }
}

function writeHead(buffer: Buffer, at: number, length: number, type: number, flags: number, streamId: number): void {
  buffer[at] = length >>> 16;
  buffer[at + 1] = length >>> 8;
  buffer[at + 2] = length;
  buffer[at + 3] = type;
  buffer[at + 4] = flags;
  buffer.writeUInt32BE(streamId, at + 5);
}
