import { afterEach, describe, expect, test } from '@jest/globals';
import { createHttp2Server } from '../../../runtime/net/http2/index.ts';
import {
  block,
  code,
  flag,
  frame,
  openRequest,
  preface,
  RawPeer,
  request,
  requestFields,
  type,
  uint32,
} from './frames.ts';
import { fieldsWith, malformedRequests } from './malformed.ts';
import { closeAll, MemoryConnection, openSocket, options, RecordedRequest, serve, until } from './support.ts';

afterEach(closeAll);

function repeat(count: number, make: (index: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}

describe('a malformed request never reaches the handler', () => {
  test.each(malformedRequests)('%s', async (_name, fields) => {
    const server = await serve((request) => request.answer(200));
    const peer = await RawPeer.connect(server.port);
    peer.send(request(1, fields), request(3));
    expect(await peer.resetCode(1)).toBe(code.protocol);
    await peer.receive(type.headers, 3);
    expect(server.requests.map(({ head }) => head.path)).toEqual(['/']);
    expect(server.requests[0].stream).toMatchObject({ id: 3 });
  });

  test.each([
    [
      'more body than content-length',
      openRequest(1, [...requestFields, 'content-length', '3']),
      frame(0, 0, 1, 'four'),
    ],
    [
      'less body than content-length',
      openRequest(1, [...requestFields, 'content-length', '5']),
      frame(0, 1, 1, 'four'),
    ],
    ['trailers that do not end the stream', openRequest(1), frame(1, flag.endHeaders, 1, block('x-a', '1'))],
    ['a pseudo header in trailers', openRequest(1), frame(1, 5, 1, block(':path', '/'))],
    ['a length in trailers', openRequest(1), frame(1, 5, 1, block('content-length', '0'))],
    ['a host in trailers', openRequest(1), frame(1, 5, 1, block('host', 'evil.shop'))],
    ['a line break in trailers', openRequest(1), frame(1, 5, 1, block('x-a', 'a\nb'))],
    ['WINDOW_UPDATE of 0', openRequest(1), frame(type.window, 0, 1, uint32(0))],
  ])('%s resets the stream', async (_name, ...frames) => {
    const server = await serve();
    const peer = await RawPeer.connect(server.port);
    peer.send(...frames);
    expect(await peer.resetCode(1)).toBe(code.protocol);
    expect(server.requests[0]).toMatchObject({ resetReason: 'protocol', ended: false });
    expect(server.connections[0].active).toBe(0);
  });
});

describe('the connection goes when the client breaks the rules of framing', () => {
  const big = uint32(0x7fff_ffff);
  test.each([
    ['DATA on an idle stream', code.protocol, frame(type.data, 0, 1, 'x')],
    ['DATA on stream 0', code.protocol, frame(type.data, 0, 0, 'x')],
    ['HEADERS on stream 0', code.protocol, frame(type.headers, 5, 0, block(...requestFields))],
    ['HEADERS on an even stream', code.protocol, request(2)],
    [
      'a stream that depends on itself',
      code.protocol,
      frame(type.headers, 0x25, 1, Buffer.concat([uint32(1), Buffer.alloc(1)])),
    ],
    ['HEADERS on a finished stream', code.closed, Buffer.concat([request(1), request(3), request(1)])],
    ['CONTINUATION without HEADERS', code.protocol, frame(type.continuation, 4, 1, '')],
    [
      'a header block that is interrupted',
      code.protocol,
      Buffer.concat([frame(type.headers, 0, 1, ''), frame(type.data, 0, 1, '')]),
    ],
    ['PUSH_PROMISE', code.protocol, frame(type.push, 4, 1, uint32(2))],
    ['RST_STREAM on an idle stream', code.protocol, frame(type.reset, 0, 1, uint32(8))],
    ['a short RST_STREAM', code.frameSize, Buffer.concat([openRequest(1), frame(type.reset, 0, 1, 'abc')])],
    ['a broken SETTINGS', code.frameSize, frame(type.settings, 0, 0, 'abc')],
    ['an ACK with settings', code.frameSize, frame(type.settings, flag.ack, 0, Buffer.alloc(6))],
    ['SETTINGS with a hundred entries', code.calm, frame(type.settings, 0, 0, Buffer.alloc(600))],
    [
      'an initial window out of range',
      code.flowControl,
      frame(type.settings, 0, 0, Buffer.from('0004ffffffff', 'hex')),
    ],
    ['a frame size out of range', code.protocol, frame(type.settings, 0, 0, Buffer.from('000500000001', 'hex'))],
    ['a PING of 7 bytes', code.frameSize, frame(type.ping, 0, 0, '1234567')],
    [
      'more padding than payload',
      code.protocol,
      Buffer.concat([openRequest(1), frame(0, flag.padded, 1, Buffer.from([9, 1]))]),
    ],
    [
      'padding without room for its length',
      code.frameSize,
      Buffer.concat([openRequest(1), frame(0, flag.padded, 1, '')]),
    ],
    ['a window that overflows', code.flowControl, frame(type.window, 0, 0, big)],
    ['WINDOW_UPDATE of 0', code.protocol, frame(type.window, 0, 0, uint32(0))],
    ['a frame over the size limit', code.frameSize, Buffer.from('ffffff00000000000100', 'hex')],
    ['a header block that cannot be decoded', code.compression, frame(type.headers, 5, 1, Buffer.from([0xff, 0xff]))],
  ])('%s', async (_name, expected, bytes) => {
    const server = await serve((request) => request.answer(200));
    const peer = await RawPeer.connect(server.port);
    peer.send(bytes);
    expect(await peer.goAwayCode()).toBe(expected);
    await until(() => server.connections[0].active === 0);
  });

  test('something else than HTTP/2', async () => {
    const server = await serve();
    const peer = new RawPeer(await openSocket(server.port));
    peer.send(Buffer.from('GET / HTTP/1.1\r\nhost: reviews.shop\r\n\r\n'));
    expect(await peer.goAwayCode()).toBe(code.protocol);
  });

  test('a request before SETTINGS', async () => {
    const server = await serve();
    const peer = new RawPeer(await openSocket(server.port));
    peer.send(preface, request(1));
    expect(await peer.goAwayCode()).toBe(code.protocol);
    expect(server.requests).toHaveLength(0);
  });

  test.each([
    ['of its stream resets it', 5, [1], type.reset],
    ['of the connection', 4, [1, 3], type.goAway],
  ])('more data than the window %s', async (_name, frames, streams, answer) => {
    const windows = { streamWindow: 70_000, connectionWindow: 100_000 };
    const server = await serve(({ stream }) => stream.pause(), { ...options(), ...windows });
    const peer = await RawPeer.connect(server.port);
    for (const id of streams)
      peer.send(
        openRequest(id),
        repeat(frames, () => frame(type.data, 0, id, Buffer.alloc(16_384))),
      );
    const { payload } = await peer.receive(answer);
    expect(payload.readUInt32BE(answer === type.reset ? 0 : 4)).toBe(code.flowControl);
  });
});

describe('floods end the connection', () => {
  test.each([
    ['PING', () => frame(type.ping, 0, 0, '12345678')],
    ['PING acknowledgements', () => frame(type.ping, flag.ack, 0, '12345678')],
    ['SETTINGS', () => frame(type.settings, 0, 0)],
    ['PRIORITY', () => frame(type.priority, 0, 1, '12345')],
    ['WINDOW_UPDATE on the connection', () => frame(type.window, 0, 0, uint32(1))],
    ['WINDOW_UPDATE on a stream', () => frame(type.window, 0, 1, uint32(1))],
    ['empty DATA', () => frame(type.data, 0, 1)],
    ['frames of unknown type', () => frame(0xbe, 0, 0)],
    ['RST_STREAM of a finished stream', () => frame(type.reset, 0, 1, uint32(8))],
  ])('%s', async (name, make) => {
    const server = await serve((request) => {
      if (name.startsWith('RST')) request.answer(200);
    });
    const peer = await RawPeer.connect(server.port);
    peer.send(name.startsWith('RST') ? request(1) : openRequest(1), repeat(10_000, make));
    expect(await peer.goAwayCode()).toBe(code.calm);
  });

  test('rapid reset (CVE-2023-44487), before it costs more than a burst of ordinary requests', async () => {
    const server = await serve();
    const peer = await RawPeer.connect(server.port);
    peer.send(repeat(10_000, (i) => Buffer.concat([request(2 * i + 1), frame(type.reset, 0, 2 * i + 1, uint32(8))])));
    expect(await peer.goAwayCode()).toBe(code.calm);
    expect(server.requests.length).toBeLessThan(2000);
    expect(server.requests.every(({ resetReason }) => resetReason !== undefined)).toBe(true);
  });

  test('trailers of a stream that was given up', async () => {
    const server = await serve(({ stream }) => stream.reset('cancelled'));
    const peer = await RawPeer.connect(server.port);
    peer.send(
      openRequest(1),
      repeat(10_000, () => frame(type.headers, flag.endHeaders, 1, block('x-a', '1'))),
    );
    expect(await peer.goAwayCode()).toBe(code.calm);
  });

  test('streams that the server is made to reset (CVE-2025-8671)', async () => {
    const server = await serve();
    const peer = await RawPeer.connect(server.port);
    const faulty = (i: number) => Buffer.concat([request(2 * i + 1), frame(type.window, 0, 2 * i + 1, uint32(0))]);
    peer.send(repeat(10_000, faulty));
    expect(await peer.goAwayCode()).toBe(code.calm);
    expect(server.requests.length).toBeLessThan(2000);
  });

  test.each([
    ['large', Buffer.alloc(16_384, 0x82)],
    ['empty', Buffer.alloc(0)],
  ])('%s CONTINUATION frames without end (CVE-2024-27919)', async (_name, payload) => {
    const server = await serve();
    const peer = await RawPeer.connect(server.port);
    peer.send(
      frame(type.headers, 0, 1),
      repeat(100, () => frame(type.continuation, 0, 1, payload)),
    );
    expect(await peer.goAwayCode()).toBe(code.calm);
    expect(server.requests).toHaveLength(0);
  });

  test('but a busy client is not a flood', async () => {
    const server = await serve((request) => request.answer(200, 'ok'));
    const peer = await RawPeer.connect(server.port);
    for (let round = 0; round < 20; round++) {
      peer.send(
        repeat(100, (i) => {
          const id = (round * 100 + i) * 2 + 1;
          return Buffer.concat([
            request(id),
            frame(type.window, 0, 0, uint32(2)),
            frame(type.window, 0, id, uint32(2)),
          ]);
        }),
      );
      await peer.settle();
    }
    expect(server.requests).toHaveLength(2000);
    expect(peer.find(type.goAway)).toBeUndefined();
  });
});

describe('what a request may cost is bounded', () => {
  test('a header list that a few bytes expand to gets 431, and the tables stay in step', async () => {
    const server = await serve((request) => request.answer(200));
    const peer = await RawPeer.connect(server.port);
    const entry = Buffer.concat([
      Buffer.from([0x40, 1]),
      Buffer.from('x'),
      Buffer.from([0x7f, 0xa1, 0x1e]),
      Buffer.alloc(4000, 'a'),
    ]);
    const bomb = Buffer.concat([block(...requestFields), entry, Buffer.alloc(8000, 0xbe)]);
    peer.send(frame(type.headers, flag.endHeaders, 1, bomb), request(3));
    expect((await peer.receive(type.headers, 1)).payload.toString('latin1')).toContain('431');
    expect(await peer.resetCode(1)).toBe(code.none);
    await peer.receive(type.headers, 3);
    expect(server.requests).toHaveLength(1);
  });

  const crumbs = (count: number, value: string) => Array.from({ length: count }, () => ['cookie', value]).flat();
  test.each([
    ['too many', 431, block(...requestFields, ...crumbs(60, ''))],
    ['too long together', 431, block(...requestFields, ...crumbs(9, 'x'.repeat(1000)))],
    [
      // A byte each, once the first is in the table.
      'indexed',
      431,
      Buffer.concat([
        block(...requestFields),
        Buffer.from([0x60, 0x7f, 0xed, 1]),
        Buffer.alloc(364, 'a'),
        Buffer.alloc(40, 0xbe),
      ]),
    ],
    ['within the limits', 200, block(...requestFields, ...crumbs(40, 'a=1'))],
  ])('crumbs of cookies count as fields and bytes before they become one: %s', async (_title, status, bytes) => {
    const server = await serve((request) => request.answer(200), options({ maxHeaders: 50, maxHeadBytes: 8192 }));
    const peer = await RawPeer.connect(server.port);
    peer.send(frame(type.headers, flag.endHeaders | flag.endStream, 1, bytes));
    const answer = await peer.receive(type.headers, 1);
    if (status === 431) expect(answer.payload.toString('latin1')).toContain('431');
    const whole = ['cookie', Array(40).fill('a=1').join('; ')];
    expect(server.requests.map(({ head }) => head.headers)).toEqual(status === 431 ? [] : [whole]);
  });

  test('streams with much to send take turns', async () => {
    const server = await serve((request) => request.answer(200, 'x'.repeat(500_000)));
    const peer = await RawPeer.connect(server.port);
    peer.send(frame(type.settings, 0, 0, Buffer.concat([Buffer.from([0, 4]), uint32(1_000_000)])));
    peer.send(request(1), request(3));
    await peer.receive(type.headers, 3);
    peer.send(frame(type.window, 0, 0, uint32(1_000_000)));
    const sent = () => peer.frames.filter((each) => each.type === type.data);
    await until(() => sent().length > 0 && sent().reduce((sum, { payload }) => sum + payload.length, 0) === 1_000_000);
    const lead = { most: 0, now: 0 };
    // The first had the window of the connection to itself.
    for (const { streamId, payload } of sent()) {
      lead.now += streamId === 1 ? payload.length : -payload.length;
      lead.most = Math.max(lead.most, lead.now);
    }
    expect(lead.most).toBeLessThanOrEqual(65_535 + 2 * 32_768);
  });

  test('streams beyond the limit are refused', async () => {
    const server = await serve(() => {}, options({ maxConcurrentStreams: 2 }));
    const peer = await RawPeer.connect(server.port);
    peer.send(request(1), request(3), request(5));
    expect(await peer.resetCode(5)).toBe(code.refused);
    expect(server.connections[0].active).toBe(2);
    server.requests[0].answer(200);
    peer.send(request(7));
    await until(() => server.requests.length === 3);
  });

  test('what arrives late for a stream that was given up is dropped, and its window returned', async () => {
    const server = await serve(({ stream }) => stream.reset('cancelled'), { ...options(), connectionWindow: 70_000 });
    const peer = await RawPeer.connect(server.port);
    peer.send(openRequest(1));
    expect(await peer.resetCode(1)).toBe(code.cancel);
    peer.send(frame(type.data, 0, 1, Buffer.alloc(16_384)), frame(type.data, 0, 1, Buffer.alloc(16_384)));
    peer.send(frame(type.headers, 5, 1, block('x-trailer', '1')), request(3));
    expect(await peer.resetCode(3)).toBe(code.cancel);
    const returned = peer.frames
      .filter((frame) => frame.type === type.window)
      .map((frame) => frame.payload.readUInt32BE());
    const all = 70_000 - 65_535 + 32_768;
    const sum = returned.reduce((so, increment) => so + increment, 0);
    // The peer is told in steps of a quarter of the window.
    expect(sum).toBeGreaterThan(all - 70_000 / 4);
    expect(sum).toBeLessThanOrEqual(all);
    expect(peer.find(type.goAway)).toBeUndefined();
  });

  test('padding and what a stream held when it was given up give their window back', async () => {
    const windows = { streamWindow: 70_000, connectionWindow: 70_000 };
    const server = await serve((request) => (request.head.path === '/hold' ? request.stream.pause() : undefined), {
      ...options(),
      ...windows,
    });
    const peer = await RawPeer.connect(server.port);
    const padded = Buffer.concat([Buffer.from([255]), Buffer.from('x'), Buffer.alloc(255)]);
    peer.send(openRequest(1));
    for (let i = 0; i < 20; i++) {
      peer.send(repeat(50, () => frame(type.data, flag.padded, 1, padded)));
      await peer.settle();
    }
    expect(server.requests[0]).toMatchObject({ bytes: 1000, resetReason: undefined });
    for (let id = 3; id < 20; id += 2) {
      peer.send(
        openRequest(id, fieldsWith(':path', '/hold')),
        repeat(2, () => frame(type.data, 0, id, Buffer.alloc(16_000))),
      );
      await peer.settle();
      server.requests.at(-1)!.stream.reset('cancelled');
      await peer.resetCode(id);
    }
    expect(peer.find(type.goAway)).toBeUndefined();
  });

  test('a client that asks and never reads is read from no longer', async () => {
    const connection = new MemoryConnection();
    const requests: RecordedRequest[] = [];
    const handler = {
      onRequest(...args: ConstructorParameters<typeof RecordedRequest>) {
        const request = new RecordedRequest(...args);
        requests.push(request);
        request.answer(404, '', ['x-large', 'a'.repeat(10_000)]);
        return request;
      },
    };
    createHttp2Server(connection, handler, options());
    connection.receive(Buffer.concat([preface, frame(type.settings, 0, 0)]));
    connection.writable = false;
    for (let i = 0; i < 10_000 && !connection.paused; i++) {
      connection.receive(request(2 * i + 1));
      await new Promise(setImmediate);
    }
    expect(connection.paused).toBe(true);
    expect(requests.length).toBeLessThan(100);
    connection.writable = true;
    connection.handler.onDrain();
    expect(connection.paused).toBe(false);
  });
});
