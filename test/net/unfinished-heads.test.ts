import { describe, expect, it } from '@jest/globals';
import { createHttp1Server } from '../../runtime/net/http1/index.ts';
import { createHttp2Server } from '../../runtime/net/http2/index.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { limits, MemoryConnection, RecordingHandler, turn } from './http1/support.ts';
import { block, flag, frame, type as frameType, preface, request } from './http2/frames.ts';

/** Connections of one process: each holds what it may, and all of them together would hold too much. */
const many = 400;

const clock = new ManualClock();
const options = { limits: limits(), clock, scheme: 'http' as const };

function http1() {
  const connection = new MemoryConnection();
  const handler = new RecordingHandler((served) => served.reply(200, [], ''));
  createHttp1Server(connection, handler, options);
  return { connection, handler, say: (text: string) => connection.receive(text) };
}

function http2() {
  const connection = new MemoryConnection();
  const handler = new RecordingHandler((served) => served.reply(200, [], ''));
  createHttp2Server(connection, handler, options);
  const say = (bytes: Buffer) => connection.handler.onData(bytes);
  say(Buffer.concat([preface, frame(frameType.settings, 0, 0)]));
  return { connection, handler, say };
}

const beginning = 'GET / HTTP/1.1\r\nhost: a\r\nx: ';

describe('heads that many connections begin and none ends', () => {
  it('of HTTP/1.1 are held up to a bound of all, beyond which long ones get 503', async () => {
    const open = Array.from({ length: many }, http1);
    for (const { say } of open) say(beginning + 'x'.repeat(60_000));
    await turn();
    const refused = open.filter(({ connection }) => connection.ended);
    expect(refused.length).toBeGreaterThan(many / 4);
    expect(refused.length).toBeLessThan(many);
    for (const { connection } of refused) expect(connection.written).toMatch(/^HTTP\/1\.1 503 /);

    // Whoever sends what clients usually send is served all the same, be it in pieces.
    const other = http1();
    other.say(`${beginning}${'x'.repeat(3000)}`);
    other.say('\r\n\r\n');
    expect(other.handler.served).toHaveLength(1);

    // Those that come to their end, and those that go, make room.
    for (const [index, { connection, say }] of open.entries()) {
      if (connection.ended || index % 2 === 0) connection.handler.onClose();
      else say('\r\n\r\n');
    }
    const late = Array.from({ length: 250 }, http1);
    for (const { say } of late) say(beginning + 'x'.repeat(60_000));
    await turn();
    for (const { say } of late) say('\r\n\r\n');
    for (const { handler } of late) expect(handler.served).toHaveLength(1);
  });

  it('of HTTP/2 are held up to a bound of all as well, whether frame or block is unfinished', async () => {
    const [frames, blocks] = [Array.from({ length: many * 3 }, http2), Array.from({ length: many * 3 }, http2)];
    const long = block('x', 'y'.repeat(16_000));
    for (const { say } of frames) say(frame(frameType.headers, flag.endHeaders, 1, long).subarray(0, 20));
    for (const { say } of blocks) {
      say(frame(frameType.headers, 0, 1, long));
      say(frame(frameType.continuation, 0, 1, long));
    }
    await turn();
    for (const open of [frames, blocks]) {
      const ended = open.filter(({ connection }) => connection.ended);
      expect(ended.length).toBeGreaterThan(0);
    }
    const held = [...frames, ...blocks].filter(({ connection }) => !connection.ended);
    expect(held.length).toBeLessThan(many * 3);
    const other = http2();
    other.say(request(1));
    expect(other.handler.served).toHaveLength(1);
    for (const { connection } of held) connection.handler.onClose();
    const late = http2();
    late.say(frame(frameType.headers, 0, 1, long));
    await turn();
    expect(late.connection.ended).toBe(false);
    late.connection.handler.onClose();
  });
});
