import { describe, expect, it } from '@jest/globals';
import type { Connection, ConnectionHandler, Lender } from '../../runtime/net/connection.ts';
import { FrameWriter } from '../../runtime/net/http2/frame-writer.ts';
import { Output } from '../../runtime/net/output.ts';
import { WriteBuffer } from '../../runtime/net/write-buffer.ts';
import { largeBuffersAtHand } from './large-buffers.ts';

/** Takes what is written at once, as a socket mostly does, and remembers in which memory it was. */
class TakingConnection implements Connection {
  declare handler: ConnectionHandler;
  readonly peerIdentity = undefined;
  readonly remoteAddress = '127.0.0.1:1';
  readonly taken: Buffer[] = [];
  readonly #memory: Set<ArrayBufferLike>;

  constructor(memory: Set<ArrayBufferLike>) {
    this.#memory = memory;
  }

  write(data: Buffer | string, lender?: Lender): boolean {
    if (typeof data !== 'string') this.#memory.add(data.buffer);
    this.taken.push(typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data));
    lender?.release();
    return true;
  }

  end(): void {}
  destroy(): void {}
  pause(): void {}
  resume(): void {}
}

const bytesIn = (memory: Set<ArrayBufferLike>): number =>
  [...memory].reduce((bytes, { byteLength }) => bytes + byteLength, 0);
const turnEnd = () => new Promise((resolve) => setImmediate(resolve));

describe('what connections write in one turn', () => {
  it('takes little memory for each where that is little, and the same memory in each turn', async () => {
    const memory = new Set<ArrayBufferLike>();
    const listener = { onWrite() {}, onFlush() {} };
    const writers = Array.from({ length: 300 }, () => new FrameWriter(new TakingConnection(memory), 4096, listener));
    for (let turn = 0; turn < 5; turn++) {
      for (const [stream, writer] of writers.entries()) {
        writer.headers(stream, [':status', '200'], [], false);
        writer.data(stream, Buffer.alloc(500, stream), 0, 500);
      }
      await turnEnd();
    }
    expect(bytesIn(memory)).toBeLessThanOrEqual(300 * 16_384);
  });

  it('is whole and in order, however it grows', async () => {
    const connection = new TakingConnection(new Set());
    const output = new Output(connection);
    const expected: Buffer[] = [];
    for (const size of [100, 9000, 3000, 20, 7000, 120_000, 1, 200_000, 16_384, 262_144, 600_000, 5]) {
      const chunk = Buffer.alloc(size, `${size} `);
      expected.push(chunk);
      if (size < 1000) output.text(chunk.toString('latin1'));
      else output.bytes(chunk);
    }
    await turnEnd();
    expect(Buffer.concat(connection.taken).equals(Buffer.concat(expected))).toBe(true);
    expect(Math.max(...connection.taken.map((each) => each.length))).toBe(262_144);
  });

  it('is in memory of its own until it was taken, and only once in what is free', () => {
    const first = new WriteBuffer();
    first.addText('first');
    let lent: Buffer | undefined;
    const slow = {
      write: (data: Buffer) => {
        lent = data;
        return false;
      },
    };
    first.writeTo(slow as unknown as Connection);
    first.drop();
    const second = new WriteBuffer();
    second.addText('second');
    expect(lent?.toString()).toBe('first');
    first.release();
    first.release();
    const [third, fourth] = [new WriteBuffer(), new WriteBuffer()];
    expect(third.bytes === fourth.bytes).toBe(false);
  });

  it('is in large memory for a few only, however many there are and however slowly they take it', () => {
    const slow = { write: () => false } as unknown as Connection;
    const chunk = Buffer.alloc(65_536, 'x');
    const buffers = Array.from({ length: 200 }, () => new WriteBuffer());
    const taken = buffers.map((buffer) => {
      const before = buffer.add(chunk, 0);
      buffer.writeTo(slow);
      return before;
    });
    const memory = bytesIn(new Set(buffers.map(({ bytes }) => bytes.buffer)));
    expect(memory).toBeLessThanOrEqual(4_194_304 + 200 * 16_384);
    expect(taken.at(0)).toBe(65_536);
    expect(taken.at(-1)).toBe(16_384);
    for (const buffer of buffers) buffer.release();
    const next = new WriteBuffer();
    expect(next.add(chunk, 0)).toBe(65_536);
    next.drop();
  });

  it('counts no memory as large that was made for one alone, though it is as large', () => {
    const atHand = largeBuffersAtHand();
    const hogs = Array.from({ length: atHand }, () => new WriteBuffer(262_144));
    const alone = new WriteBuffer(262_144);
    expect(alone.bytes.length).toBe(262_144);
    alone.drop();
    for (const hog of hogs) hog.drop();
    expect(largeBuffersAtHand()).toBe(atHand);
  });

  it('fits into frames of HTTP/2 when there is no more large memory', async () => {
    const slow = { write: () => false } as unknown as Connection;
    const hogs = Array.from({ length: 40 }, () => {
      const buffer = new WriteBuffer();
      buffer.add(Buffer.alloc(65_536), 0);
      buffer.writeTo(slow);
      return buffer;
    });
    const memory = new Set<ArrayBufferLike>();
    const writer = new FrameWriter(new TakingConnection(memory), 4096, { onWrite() {}, onFlush() {} });
    writer.maxFrameSize = 65_536;
    const body = Buffer.alloc(200_000, 'b');
    for (let at = 0; at < body.length; ) {
      const end = Math.min(body.length, at + writer.dataRoom);
      writer.data(1, body, at, end);
      at = end;
    }
    await turnEnd();
    expect(Math.max(...[...memory].map(({ byteLength }) => byteLength))).toBe(16_384);
    for (const hog of hogs) hog.release();
  });
});
