import type { Socket } from 'node:net';
import { openSocket, until } from './support.ts';

export const type = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goAway: 7,
  window: 8,
  continuation: 9,
};
export const flag = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 0x20 };
export const code = {
  none: 0,
  protocol: 1,
  flowControl: 3,
  closed: 5,
  frameSize: 6,
  refused: 7,
  cancel: 8,
  compression: 9,
  calm: 11,
};
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** A frame made by hand. */
export function frame(type: number, flags: number, streamId: number, payload: Buffer | string = ''): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload;
  const head = Buffer.alloc(9);
  head.writeUIntBE(bytes.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, bytes]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A header block of literals without indexing. */
export function block(...fields: string[]): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    parts.push(Buffer.from([0]), text(fields[i]), text(fields[i + 1]));
  }
  return Buffer.concat(parts);
}

function text(value: string): Buffer {
  const length = value.length < 127 ? [value.length] : [127, ...rest(value.length - 127)];
  return Buffer.concat([Buffer.from(length), Buffer.from(value, 'latin1')]);
}

function rest(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...rest(value >>> 7)];
}

export const requestFields = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'reviews.shop'];

/** A request that ends with its head. */
export function request(streamId: number, fields: string[] = requestFields): Buffer {
  return frame(type.headers, flag.endHeaders | flag.endStream, streamId, block(...fields));
}

/** A request whose body follows. */
export function openRequest(streamId: number, fields: string[] = requestFields): Buffer {
  return frame(type.headers, flag.endHeaders, streamId, block(...fields));
}

export function splitFrames(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + 9 <= bytes.length; ) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    if (end > bytes.length) break;
    const streamId = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
    frames.push({ type: bytes[at + 3], flags: bytes[at + 4], streamId, payload: bytes.subarray(at + 9, end) });
    at = end;
  }
  return frames;
}

/** A peer that says what the test wants, over a real socket. */
export class RawPeer {
  readonly socket: Socket;
  ended = false;
  #received: Buffer[] = [];
  readonly #skip: number;

  /** `skip`: bytes before the first frame. */
  constructor(socket: Socket, skip = 0) {
    this.socket = socket;
    this.#skip = skip;
    socket.on('data', (chunk: Buffer) => this.#received.push(chunk));
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('close', () => {
      this.ended = true;
    });
  }

  /** A client that has said hello. */
  static async connect(port: number): Promise<RawPeer> {
    const peer = new RawPeer(await openSocket(port));
    peer.send(preface, frame(type.settings, 0, 0));
    return peer;
  }

  get frames(): Frame[] {
    return splitFrames(Buffer.concat(this.#received).subarray(this.#skip));
  }

  send(...parts: Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  find(type: number, streamId?: number): Frame | undefined {
    return this.frames.find((frame) => frame.type === type && (streamId === undefined || frame.streamId === streamId));
  }

  async receive(type: number, streamId?: number): Promise<Frame> {
    await until(() => this.find(type, streamId) !== undefined || this.ended);
    const found = this.find(type, streamId);
    if (!found) throw new Error(`the connection ended without a frame of type ${type}`);
    return found;
  }

  /** Error code of the RST_STREAM that comes. */
  async resetCode(streamId: number): Promise<number> {
    return (await this.receive(type.reset, streamId)).payload.readUInt32BE(0);
  }

  /** Error code of the GOAWAY that comes, and waits until the connection has ended. */
  async goAwayCode(): Promise<number> {
    const code = (await this.receive(type.goAway)).payload.readUInt32BE(4);
    await until(() => this.ended);
    return code;
  }

  /** What was sent before has been handled once this returns. */
  async settle(): Promise<void> {
    const acknowledged = () => this.frames.filter((frame) => frame.type === type.ping && frame.flags & flag.ack).length;
    const before = acknowledged();
    this.send(frame(type.ping, 0, 0, 'whatever'));
    await until(() => acknowledged() > before);
  }
}
