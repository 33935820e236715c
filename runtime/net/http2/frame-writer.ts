import type { Connection } from '../connection.ts';
import { writeLatin1 } from '../latin1.ts';
import { atTurnEnd, type TurnEnd } from '../turn.ts';
import { WriteBuffer } from '../write-buffer.ts';
import { clientPreface, defaultMaxFrameSize, Flag, FrameType, frameHeadSize } from './frame.ts';
import { HpackEncoder } from './hpack/encoder.ts';

/** A DATA frame for which a buffer has less room begins the next one. */
const smallestRest = 1024;

/** Hears of what leaves. */
export interface WriteListener {
  /** Bytes were given to the connection; it said whether it takes more. */
  onWrite(bytes: number, writable: boolean): void;
  /** All that waited was given. */
  onFlush(): void;
}

/** Serialises frames. What arises in one turn of the event loop leaves together at its end. */
export class FrameWriter implements TurnEnd {
  /** What the peer accepts. */
  maxFrameSize = defaultMaxFrameSize;
  readonly encoder: HpackEncoder;
  readonly #connection: Connection;
  readonly #listener: WriteListener;
  #buffer: WriteBuffer | undefined;
  /** Bytes of this turn that were written already. */
  #written = 0;
  /** Where in the buffer the last frame begins, if END_STREAM may yet be set on it. */
  #lastFrame = -1;
  #scheduled = false;
  #stopped = false;

  constructor(connection: Connection, tableLimit: number, listener: WriteListener) {
    this.#connection = connection;
    this.encoder = new HpackEncoder(tableLimit);
    this.#listener = listener;
  }

  /** Bytes of this turn of the event loop. */
  get pending(): number {
    return this.#written + (this.#buffer?.used ?? 0);
  }

  /** The largest payload of a DATA frame that fits behind what waits. */
  get dataRoom(): number {
    const room = (this.#buffer?.room ?? 0) - frameHeadSize;
    return Math.min(room < smallestRest ? WriteBuffer.most - frameHeadSize : room, this.maxFrameSize);
  }

  preface(): void {
    this.#reserve(clientPreface.length).add(clientPreface, 0);
  }

  /** `settings` is `[identifier, value, …]`. */
  settings(settings: readonly number[]): void {
    const buffer = this.#control(FrameType.Settings, 0, 0, settings.length * 3);
    for (let i = 0; i < settings.length; i += 2) {
      buffer.used = buffer.bytes.writeUInt16BE(settings[i], buffer.used);
      buffer.used = buffer.bytes.writeUInt32BE(settings[i + 1], buffer.used);
    }
  }

  settingsAck(): void {
    this.#control(FrameType.Settings, Flag.Ack, 0, 0);
  }

  /** `payload` holds the eight opaque bytes at `offset`. */
  ping(payload: Buffer, offset: number, ack: boolean): void {
    const buffer = this.#control(FrameType.Ping, ack ? Flag.Ack : 0, 0, 8);
    buffer.used += payload.copy(buffer.bytes, buffer.used, offset, offset + 8);
  }

  goAway(lastStreamId: number, code: number, reason: string): void {
    const buffer = this.#control(FrameType.GoAway, 0, 0, 8 + reason.length);
    buffer.used = buffer.bytes.writeUInt32BE(lastStreamId, buffer.used);
    buffer.used = buffer.bytes.writeUInt32BE(code, buffer.used);
    buffer.used += writeLatin1(buffer.bytes, reason, buffer.used);
  }

  resetStream(streamId: number, code: number): void {
    const buffer = this.#control(FrameType.ResetStream, 0, streamId, 4);
    buffer.used = buffer.bytes.writeUInt32BE(code, buffer.used);
  }

  windowUpdate(streamId: number, increment: number): void {
    const buffer = this.#control(FrameType.WindowUpdate, 0, streamId, 4);
    buffer.used = buffer.bytes.writeUInt32BE(increment, buffer.used);
  }

  headers(streamId: number, pseudo: readonly string[], fields: readonly string[], endStream: boolean): void {
    const buffer = this.#reserve(frameHeadSize + HpackEncoder.bound(pseudo, fields));
    const frame = buffer.used;
    const start = frame + frameHeadSize;
    const end = this.encoder.encode(buffer.bytes, start, pseudo, fields);
    if (end - start > this.maxFrameSize) {
      this.#fragments(streamId, Buffer.from(buffer.bytes.subarray(start, end)), endStream);
      return;
    }
    writeHead(
      buffer.bytes,
      frame,
      end - start,
      FrameType.Headers,
      Flag.EndHeaders | (endStream ? Flag.EndStream : 0),
      streamId,
    );
    buffer.used = end;
    this.#lastFrame = frame;
  }

  #fragments(streamId: number, block: Buffer, endStream: boolean): void {
    let flags: number = endStream ? Flag.EndStream : 0;
    let type: number = FrameType.Headers;
    for (let at = 0; at < block.length; at += this.maxFrameSize) {
      const end = Math.min(block.length, at + this.maxFrameSize);
      if (end === block.length) flags |= Flag.EndHeaders;
      const buffer = this.#control(type, flags, streamId, end - at);
      buffer.used += block.copy(buffer.bytes, buffer.used, at, end);
      flags = 0;
      type = FrameType.Continuation;
    }
  }

  /** At most {@link dataRoom} bytes. The chunk is the caller's again. */
  data(streamId: number, chunk: Buffer, start: number, end: number): void {
    const length = end - start;
    const buffer = this.#reserve(frameHeadSize + length);
    const frame = buffer.used;
    writeHead(buffer.bytes, frame, length, FrameType.Data, 0, streamId);
    chunk.copy(buffer.bytes, frame + frameHeadSize, start, end);
    buffer.used += frameHeadSize + length;
    this.#lastFrame = frame;
    if (buffer.room === 0) this.#write(buffer);
  }

  /** Sets END_STREAM on the stream's last frame if that is still at hand; else sends an empty one. */
  endStream(streamId: number): void {
    const frame = this.#lastFrame;
    const bytes = this.#buffer?.bytes;
    if (frame >= 0 && bytes && bytes.readUInt32BE(frame + 5) === streamId) {
      bytes[frame + 4] |= Flag.EndStream;
      this.#lastFrame = -1;
    } else {
      this.#control(FrameType.Data, Flag.EndStream, streamId, 0);
    }
  }

  /** Writes now what waits for the end of the turn. */
  flush(): void {
    if (this.pending === 0 || this.#stopped) return;
    if (this.#buffer) this.#write(this.#buffer);
    this.#written = 0;
    this.#listener.onFlush();
  }

  /** Drops what waits and what comes. */
  stop(): void {
    this.#stopped = true;
    this.#buffer?.drop();
    this.#buffer = undefined;
  }

  onTurnEnd(): void {
    this.#scheduled = false;
    this.flush();
  }

  /** Begins a frame of known length; the caller fills the payload in. */
  #control(type: number, flags: number, streamId: number, length: number): WriteBuffer {
    const buffer = this.#reserve(frameHeadSize + length);
    writeHead(buffer.bytes, buffer.used, length, type, flags, streamId);
    buffer.used += frameHeadSize;
    return buffer;
  }

  #reserve(size: number): WriteBuffer {
    if (this.#stopped) return unread(size);
    if (!this.#scheduled) {
      this.#scheduled = true;
      atTurnEnd(this);
    }
    this.#lastFrame = -1;
    if (this.#buffer && this.#buffer.room < size) this.#write(this.#buffer);
    if (this.#buffer) this.#buffer.reserve(size);
    else this.#buffer = new WriteBuffer(size);
    return this.#buffer;
  }

  #write(buffer: WriteBuffer): void {
    if (this.#stopped) return;
    const { used } = buffer;
    this.#buffer = undefined;
    this.#written += used;
    this.#listener.onWrite(used, buffer.writeTo(this.#connection));
  }
}

/** Takes a frame that nobody gets: its memory is free again when it is filled. */
function unread(size: number): WriteBuffer {
  const buffer = new WriteBuffer(size);
  buffer.drop();
  return buffer;
}

function writeHead(buffer: Buffer, at: number, length: number, type: number, flags: number, streamId: number): void {
  buffer[at] = length >>> 16;
  buffer[at + 1] = length >>> 8;
  buffer[at + 2] = length;
  buffer[at + 3] = type;
  buffer[at + 4] = flags;
  buffer.writeUInt32BE(streamId, at + 5);
}
