import http2, { type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { afterEach, describe, expect, test } from '@jest/globals';
import { listening } from '../../support/listening.ts';
import { closeAll, fieldValue, get, onCleanup, openClient, post, RecordedResponse, until } from './support.ts';

afterEach(closeAll);

type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** Node's own server: an independent peer. */
async function nodeServer(onStream: OnStream, settings: http2.Settings = {}) {
  const server = http2.createServer({ settings });
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    onStream(stream, headers);
  });
  const { port, close } = await listening(server);
  onCleanup(() => void close());
  return { port, sessions };
}

describe('the client, answered by the HTTP/2 server of Node', () => {
  test('sends the request and gets the response as it was sent', async () => {
    let seen: IncomingHttpHeaders = {};
    const { port } = await nodeServer((stream, headers) => {
      seen = headers;
      stream.respond({ ':status': 404, 'x-a': '1' });
      stream.end('nothing here');
    });
    const { connection } = await openClient(port);
    const response = new RecordedResponse();
    connection.request(get('/reviews?id=7', ['accept', '*/*', 'cookie', 'a=1; b=2']), true, response);
    await until(() => response.over);
    expect(seen).toMatchObject({
      ':method': 'GET',
      ':scheme': 'http',
      ':authority': 'reviews.shop:9080',
      ':path': '/reviews?id=7',
      accept: '*/*',
      cookie: 'a=1; b=2',
    });
    expect(response.head?.status).toBe(404);
    expect(fieldValue(response.head!.headers, 'x-a')).toBe('1');
    expect(response.text).toBe('nothing here');
  });

  test('passes informational heads, bodies and trailers in both directions', async () => {
    const { port } = await nodeServer((stream) => {
      let sum = '';
      stream.on('trailers', (trailers) => {
        sum = String(trailers['x-sum']);
      });
      stream.additionalHeaders({ ':status': 103, link: '</a.css>' });
      stream.respond({}, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': sum }));
      stream.pipe(stream);
    });
    const { connection } = await openClient(port);
    const response = new RecordedResponse();
    const stream = connection.request(post('/'), false, response);
    stream.write(Buffer.from('first '));
    stream.write(Buffer.from('second'));
    stream.end(['x-sum', '42']);
    await until(() => response.over);
    expect(response.informational).toEqual([{ status: 103, headers: ['link', '</a.css>'] }]);
    expect(response.text).toBe('first second');
    expect(response.trailers).toEqual(['grpc-status', '42']);
  });

  test.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ])('knows that the response to %s with status %i has no body', async (method, status) => {
    const { port } = await nodeServer((stream) => {
      stream.respond({ ':status': status, ...(status === 204 ? {} : { 'content-length': 10 }) }, { endStream: true });
    });
    const { connection } = await openClient(port);
    const response = new RecordedResponse();
    connection.request({ ...get('/'), method }, true, response);
    await until(() => response.over);
    expect(response).toMatchObject({ head: { status }, bytes: 0, resetReason: undefined });
    expect(connection.active).toBe(0);
  });

  test('sends a large body no faster than the server reads, and reads no faster than its reader', async () => {
    const size = 20_000_000;
    const { port } = await nodeServer((stream) => {
      stream.respond({});
      stream.pipe(stream);
    });
    const { connection } = await openClient(port);
    const response = new RecordedResponse();
    const stream = connection.request(post('/'), false, response);
    let written = 0;
    let full = 0;
    const chunk = Buffer.alloc(100_000, 'x');
    const fill = (): void => {
      while (written < size) {
        written += chunk.length;
        if (!stream.write(chunk)) {
          full++;
          return;
        }
      }
      stream.end();
    };
    response.onDrain = fill;
    let received = 0;
    let pauses = 0;
    response.onData = (part) => {
      received += part.length;
      if (received < (pauses + 1) * 3_000_000) return;
      pauses++;
      stream.pause();
      setImmediate(() => stream.resume());
    };
    fill();
    await until(() => response.over);
    expect(received).toBe(size);
    expect(full).toBeGreaterThan(10);
    expect(pauses).toBeGreaterThan(3);
  });

  test('holds no more than the window of a body whose reader pauses', async () => {
    let sent = 0;
    const { port } = await nodeServer((stream, headers) => {
      stream.respond({});
      const pour = (): void => {
        while (!stream.destroyed && sent < 30_000_000) {
          sent += 50_000;
          if (!stream.write(Buffer.alloc(50_000))) return;
        }
        stream.end();
      };
      if (headers[':path'] === '/ping') {
        stream.end('pong');
      } else {
        stream.on('drain', pour);
        pour();
      }
    });
    const { connection } = await openClient(port);
    const response = new RecordedResponse();
    const stream = connection.request(get('/pour'), true, response);
    stream.pause();
    for (let i = 0; i < 50; i++) {
      const pong = new RecordedResponse();
      connection.request(get('/ping'), true, pong);
      await until(() => pong.over);
    }
    expect(response.bytes).toBe(0);
    expect(sent).toBeLessThan(1_500_000);
    stream.resume();
    await until(() => response.over);
    expect(response.bytes).toBe(30_000_000);
  });

  test.each([
    [http2.constants.NGHTTP2_REFUSED_STREAM, 'refused'],
    [http2.constants.NGHTTP2_CANCEL, 'cancelled'],
    [http2.constants.NGHTTP2_INTERNAL_ERROR, 'internal'],
  ])('hears of a stream that the server resets with code %i as %s', async (code, reason) => {
    const { port } = await nodeServer((stream) => stream.close(code));
    const { connection } = await openClient(port);
    const response = new RecordedResponse();
    connection.request(get('/'), true, response);
    await until(() => response.over);
    expect(response.resetReason).toBe(reason);
  });

  test('gives a request up', async () => {
    let code: number | undefined;
    const { port } = await nodeServer((stream) => {
      stream.on('aborted', () => {
        code = stream.rstCode;
      });
    });
    const { connection, events } = await openClient(port);
    const response = new RecordedResponse();
    const stream = connection.request(get('/'), true, response);
    await until(() => connection.capacity > 100);
    stream.reset('cancelled');
    expect(connection.active).toBe(0);
    await until(() => code !== undefined);
    expect(code).toBe(http2.constants.NGHTTP2_CANCEL);
    expect(response.over).toBe(false);
    expect(events).not.toContain('retire');
  });

  test('has the capacity that the server gives it, and says when there is more', async () => {
    const waiting: ServerHttp2Stream[] = [];
    const { port } = await nodeServer((stream) => waiting.push(stream), { maxConcurrentStreams: 2 });
    const { connection, events } = await openClient(port);
    await until(() => events.includes('capacity 2'));
    connection.request(get('/1'), true, new RecordedResponse());
    connection.request(get('/2'), true, new RecordedResponse());
    expect(connection.capacity).toBe(0);
    const surplus = new RecordedResponse();
    const refused = connection.request(post('/3'), false, surplus);
    expect(refused.write(Buffer.from('nobody reads this'))).toBe(true);
    await until(() => surplus.over);
    expect(surplus.resetReason).toBe('refused');
    await until(() => waiting.length === 2);
    waiting[0].respond({}, { endStream: true });
    await until(() => connection.capacity === 1);
    expect(events.at(-1)).toBe('capacity 1');
  });

  test('goes on with a server that refuses most of what it is asked', async () => {
    const { port } = await nodeServer((stream, headers) => {
      if (headers[':path'] === '/last') stream.respond({}, { endStream: true });
      else stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    });
    const { connection } = await openClient(port);
    for (let i = 0; i < 1500; i++) {
      const response = new RecordedResponse();
      connection.request(get('/'), true, response);
      if (i % 50 === 0) await until(() => response.over);
    }
    await until(() => connection.active === 0);
    const last = new RecordedResponse();
    connection.request(get('/last'), true, last);
    await until(() => last.over);
    expect(last.ended).toBe(true);
  });

  test('retires on GOAWAY: streams the server will not serve are refused, the others finish', async () => {
    const streams: ServerHttp2Stream[] = [];
    const { port, sessions } = await nodeServer((stream) => streams.push(stream));
    const { connection, events } = await openClient(port);
    const first = new RecordedResponse();
    const second = new RecordedResponse();
    connection.request(get('/1'), true, first);
    connection.request(get('/2'), true, second);
    await until(() => streams.length === 2);
    sessions[0].goaway(0, 1);
    await until(() => events.includes('retire'));
    expect(second.resetReason).toBe('refused');
    expect(connection.capacity).toBe(0);
    streams[0].respond({});
    streams[0].end('still served');
    await until(() => first.over);
    expect(first.text).toBe('still served');
    expect(events.filter((event) => event === 'retire')).toHaveLength(1);
  });

  test('drains: takes no new request and closes after the last one', async () => {
    const streams: ServerHttp2Stream[] = [];
    const { port, sessions } = await nodeServer((stream) => streams.push(stream));
    const { connection, events } = await openClient(port);
    const response = new RecordedResponse();
    connection.request(get('/'), true, response);
    connection.drain();
    expect(connection.capacity).toBe(0);
    expect(events).toEqual(['retire']);
    await until(() => streams.length === 1);
    streams[0].respond({});
    streams[0].end('finished');
    await until(() => response.over);
    expect(response.text).toBe('finished');
    await until(() => sessions[0].destroyed);
  });

  test('resets what is under way when the connection breaks', async () => {
    const { port, sessions } = await nodeServer((stream) => stream.respond({}));
    const { connection, events } = await openClient(port);
    const response = new RecordedResponse();
    connection.request(get('/'), true, response);
    await until(() => response.head !== undefined);
    sessions[0].socket.destroy();
    await until(() => response.over);
    expect(response.resetReason).toBe('connection');
    expect(events.at(-1)).toBe('retire');
  });
});
