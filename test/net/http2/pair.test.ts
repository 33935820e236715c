import { afterEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createHttp2Client, createHttp2Server } from '../../../runtime/net/http2/index.ts';
import {
  block,
  flag,
  frame,
  openRequest,
  preface,
  request,
  requestFields,
  splitFrames,
  type,
  uint32,
} from './frames.ts';
import {
  closeAll,
  fieldValue,
  get,
  MemoryConnection,
  openClient,
  options,
  post,
  RecordedRequest,
  RecordedResponse,
  serve,
  until,
} from './support.ts';

afterEach(closeAll);

describe('client and server together', () => {
  test('carry heads that take several frames', async () => {
    const large = ['x-large', 'v'.repeat(50_000)];
    const server = await serve((request) => request.answer(200, '', request.head.headers));
    const { connection } = await openClient(server.port);
    const response = new RecordedResponse();
    connection.request(get('/', large), true, response);
    await until(() => response.over);
    expect(response.head?.headers).toEqual(large);
  });

  test('carry a tunnel', async () => {
    const server = await serve((request) => {
      request.stream.respond({ status: 200, headers: [] }, false);
      request.onData = (chunk) => void request.stream.write(chunk);
      request.onEnd = () => request.stream.end();
    });
    const { connection } = await openClient(server.port);
    const response = new RecordedResponse();
    const connect = { method: 'CONNECT', scheme: 'http', authority: '10.0.0.1:6379', path: '', headers: [] } as const;
    const stream = connection.request({ ...connect, headers: [] }, false, response);
    stream.write(Buffer.from('PING\r\n'));
    await until(() => response.text === 'PING\r\n');
    expect(server.requests[0].head).toEqual(connect);
    stream.end();
    await until(() => response.ended);
  });

  test('carry many exchanges at once, whatever pauses and however large the bodies', async () => {
    const server = await serve((request) => {
      request.stream.respond({ status: 200, headers: [] }, false);
      request.onData = (chunk) => {
        if (!request.stream.write(chunk)) request.stream.pause();
      };
      request.onDrain = () => request.stream.resume();
      request.onEnd = (trailers) => request.stream.end(trailers);
    });
    const small = { ...options(), streamWindow: 70_000, connectionWindow: 150_000 };
    const { connection } = await openClient(server.port, small);
    const exchanges = Array.from({ length: 60 }, (_, i) => {
      const response = new RecordedResponse();
      const stream = connection.request(post(`/${i}`), false, response);
      const body = Buffer.alloc(i * 7919, `${i} `);
      for (let at = 0; at < body.length; at += 40_000) stream.write(body.subarray(at, at + 40_000));
      stream.end(['x-number', `${i}`]);
      const keep = response.onData.bind(response);
      response.onData = (chunk) => {
        keep(chunk);
        if (response.chunks.length % 5 !== 0) return;
        stream.pause();
        setImmediate(() => stream.resume());
      };
      return { response, body, number: i };
    });
    await until(() => exchanges.every(({ response }) => response.over));
    for (const { response, body, number } of exchanges) {
      expect(response.resetReason).toBeUndefined();
      expect(Buffer.concat(response.chunks).equals(body)).toBe(true);
      expect(fieldValue(response.trailers!, 'x-number')).toBe(`${number}`);
    }
    expect(connection.active).toBe(0);
  });

  test('lose no request when the server drains under load', async () => {
    const server = await serve((request) => setImmediate(() => request.answer(200, 'done')));
    const responses: RecordedResponse[] = [];
    let client = await openClient(server.port);
    for (let i = 0; i < 200; i++) {
      if (client.connection.capacity === 0) client = await openClient(server.port);
      const response = new RecordedResponse();
      responses.push(response);
      client.connection.request(get(`/${i}`), true, response);
      if (i % 60 === 30) server.connections.at(-1)?.drain();
      await new Promise(setImmediate);
    }
    await until(() => responses.every((response) => response.over));
    expect(responses.map(({ text, resetReason }) => resetReason ?? text)).toEqual(responses.map(() => 'done'));
    expect(server.connections.length).toBeGreaterThan(1);
  });
});

describe('what arises in one turn of the event loop', () => {
  const owner = { onCapacity() {}, onRetire() {} };

  test('leaves as one write', async () => {
    const connection = new MemoryConnection();
    const client = createHttp2Client(connection, owner, options());
    for (let i = 0; i < 50; i++) {
      const stream = client.request(post(`/${i}`), false, new RecordedResponse());
      stream.write(Buffer.from('a body'));
      stream.end();
    }
    await new Promise(setImmediate);
    expect(connection.written).toHaveLength(1);
    const frames = splitFrames(connection.written[0].subarray(preface.length));
    const data = frames.filter((frame) => frame.type === type.data);
    expect(data.map(({ flags }) => flags)).toEqual(Array(50).fill(flag.endStream));
  });

  test('leaves in writes of full TLS records when it is large, and may change at once where it came from', async () => {
    const connection = new MemoryConnection();
    const client = createHttp2Client(connection, owner, options());
    const settings = Buffer.from('000400100000000500010000', 'hex');
    connection.receive(
      Buffer.concat([frame(type.settings, 0, 0, settings), frame(type.window, 0, 0, uint32(1_000_000))]),
    );
    const stream = client.request(post('/'), false, new RecordedResponse());
    for (const letter of 'abcde') {
      const chunk = Buffer.alloc(60_000, letter);
      stream.write(chunk);
      chunk.fill('!');
    }
    await until(() => connection.written.length === 2);
    expect(connection.written[0]).toHaveLength(16 * 16_384);
    const frames = splitFrames(Buffer.concat(connection.written).subarray(preface.length));
    const body = Buffer.concat(frames.filter((each) => each.type === type.data).map(({ payload }) => payload));
    expect(body.equals(Buffer.concat([...'abcde'].map((letter) => Buffer.alloc(60_000, letter))))).toBe(true);
  });

  test('is bounded, however large the windows of the peer are', async () => {
    const connection = new MemoryConnection();
    const client = createHttp2Client(connection, owner, options());
    const endless = Buffer.from('00047fffffff', 'hex');
    connection.receive(
      Buffer.concat([frame(type.settings, 0, 0, endless), frame(type.window, 0, 0, uint32(0x7fff_0000))]),
    );
    const response = new RecordedResponse();
    const stream = client.request(post('/'), false, response);
    let taken = 0;
    while (stream.write(Buffer.alloc(20_000)) && taken < 10_000_000) taken += 20_000;
    expect(taken).toBeLessThan(400_000);
    await until(() => response.drains === 1);
    expect(stream.write(Buffer.alloc(20_000))).toBe(true);
  });

  test('is shared by the streams in turn when there is more than the peer takes', async () => {
    const connection = new MemoryConnection();
    const client = createHttp2Client(connection, owner, options());
    connection.receive(frame(type.settings, 0, 0));
    const streams = [1, 2, 3].map(() => client.request(post('/'), false, new RecordedResponse()));
    for (const stream of streams) stream.write(Buffer.alloc(60_000));
    await new Promise(setImmediate);
    connection.written = [];
    connection.receive(Buffer.concat([1, 3, 5].map((id) => frame(type.window, 0, id, uint32(1_000_000)))));
    connection.receive(frame(type.window, 0, 0, uint32(60_000)));
    await new Promise(setImmediate);
    const served = splitFrames(Buffer.concat(connection.written)).map(({ streamId }) => streamId);
    expect(new Set(served)).toEqual(new Set([3, 5]));
    for (const stream of streams) stream.write(Buffer.alloc(60_000));
    connection.written = [];
    connection.receive(frame(type.window, 0, 0, uint32(200_000)));
    await new Promise(setImmediate);
    expect(new Set(splitFrames(Buffer.concat(connection.written)).map(({ streamId }) => streamId))).toEqual(
      new Set([1, 3, 5]),
    );
  });
});

test.each([
  ['the default to strangers', undefined, 0x4000],
  ['64 KiB to peers', 'spiffe://test.local/ns/shop/sa/web', 0x1_0000],
])('the server takes frames of %s', async (_title, peerIdentity, size) => {
  const connection = Object.assign(new MemoryConnection(), { peerIdentity });
  createHttp2Server(connection, { onRequest: () => new RecordedResponse() }, options());
  await new Promise(setImmediate);
  const [settings] = splitFrames(Buffer.concat(connection.written));
  expect(settings.payload.toString('hex')).toContain(`0005${size.toString(16).padStart(8, '0')}`);
});

describe('the server', () => {
  const conversation = Buffer.concat([
    preface,
    frame(type.settings, 0, 0, Buffer.from('000400100000', 'hex')),
    request(1, [...requestFields, 'cookie', 'a=1', 'cookie', 'b=2']),
    openRequest(3, [...requestFields, 'content-length', '10']),
    frame(type.data, flag.padded, 3, Buffer.concat([Buffer.from([4]), Buffer.from('hello'), Buffer.alloc(4)])),
    frame(type.ping, 0, 0, '12345678'),
    frame(type.headers, 0, 5, block(':method', 'PUT', ':scheme', 'https')),
    frame(type.continuation, 0, 5),
    frame(type.continuation, flag.endHeaders, 5, block(':path', '/c', ':authority', 'a.b')),
    frame(type.data, flag.endStream, 3, 'world'),
    frame(type.data, 0, 5, 'x'.repeat(500)),
    frame(type.data, flag.padded, 5, Buffer.from([0])),
    frame(0xbe, 0xff, 99, 'unknown'),
    frame(type.headers, flag.endHeaders | flag.endStream, 5, block('x-trailer', '1')),
    frame(
      type.headers,
      0x2d,
      7,
      Buffer.concat([Buffer.from([2]), Buffer.alloc(5), block(...requestFields), Buffer.alloc(2)]),
    ),
    openRequest(9),
    frame(type.reset, 0, 9, uint32(8)),
  ]);

  /** What the handler saw, bodies joined. */
  function run(chunks: Buffer[]): { seen: unknown[]; connection: MemoryConnection } {
    const connection = new MemoryConnection();
    const requests: RecordedRequest[] = [];
    const handler = {
      onRequest(...args: ConstructorParameters<typeof RecordedRequest>) {
        const request = new RecordedRequest(...args);
        requests.push(request);
        return request;
      },
    };
    const server = createHttp2Server(connection, handler, options());
    for (const chunk of chunks) connection.receive(chunk);
    const seen = requests.map(({ head, text, ended, trailers, resetReason }) => ({
      head,
      text,
      ended,
      trailers,
      resetReason,
    }));
    server.destroy();
    return { seen, connection };
  }

  function cut(bytes: Buffer, places: number[]): Buffer[] {
    const ends = [...new Set(places.map((place) => place % bytes.length))].sort((a, b) => a - b);
    return [0, ...ends].map((start, i) => bytes.subarray(start, ends[i] ?? bytes.length));
  }

  test('sees the same requests however the bytes are cut', () => {
    const whole = run([conversation]).seen;
    expect(whole).toMatchObject([
      { head: { path: '/', headers: ['cookie', 'a=1; b=2'] }, ended: true },
      { text: 'helloworld', ended: true },
      { head: { method: 'PUT', path: '/c' }, text: 'x'.repeat(500), trailers: ['x-trailer', '1'] },
      { ended: true },
      { resetReason: 'cancelled' },
    ]);
    expect(run([...conversation].map((byte) => Buffer.from([byte]))).seen).toEqual(whole);
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 30 }), (places) => {
        expect(run(cut(conversation, places)).seen).toEqual(whole);
      }),
    );
  });

  test('survives whatever bytes arrive', () => {
    const change = fc.tuple(fc.nat({ max: conversation.length - preface.length - 1 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 5 }),
        (changes, places) => {
          const bytes = Buffer.from(conversation);
          for (const [at, value] of changes) bytes[preface.length + at] = value;
          expect(() => run(cut(bytes, places))).not.toThrow();
        },
      ),
      { numRuns: 1000 },
    );
  });
});
