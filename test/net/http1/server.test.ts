import { Agent, type IncomingMessage, request as nodeRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type Clock, systemClock } from '../../../runtime/model/index.ts';
import type { Connection } from '../../../runtime/net/connection.ts';
import { createHttp1Server } from '../../../runtime/net/http1/index.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import {
  limits,
  MemoryConnection,
  RecordingHandler,
  rawExchange,
  type Served,
  serve,
  type TestServer,
  turn,
} from './support.ts';

const answering = (): RecordingHandler =>
  new RecordingHandler((served) => void served.done.then(() => served.reply(200, ['x-body', served.body], 'ok')));

function overMemory(handler: RecordingHandler, clock: Clock = systemClock) {
  const connection = new MemoryConnection();
  const server = createHttp1Server(connection, handler, { limits: limits(), clock, scheme: 'http' });
  return { connection, server };
}

/** Node's own client, as a peer that was not written here. */
function fetchWithNode(
  options: { port: number; method?: string; path?: string; headers?: Record<string, string>; agent?: Agent },
  body?: readonly string[],
): Promise<{ response: IncomingMessage; text: string }> {
  return new Promise((resolve, reject) => {
    const request = nodeRequest({ host: '127.0.0.1', ...options }, (response) => {
      let text = '';
      response.setEncoding('latin1');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ response, text }));
      response.on('error', reject);
    });
    request.on('error', reject);
    for (const chunk of body ?? []) request.write(chunk);
    request.end();
  });
}

describe('With a client of Node, a server', () => {
  let server: TestServer;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  afterEach(() => {
    agent.destroy();
    server.close();
  });

  test('answers on one connection as long as it is kept', async () => {
    const handler = answering();
    server = await serve(handler);
    for (const path of ['/1', '/2', '/3']) {
      const { response, text } = await fetchWithNode({ port: server.port, path, agent });
      expect(response.statusCode).toBe(200);
      expect(response.statusMessage).toBe('OK');
      expect(text).toBe('ok');
    }
    expect(server.connections).toHaveLength(1);
    expect(handler.served.map(({ head }) => head.path)).toEqual(['/1', '/2', '/3']);
    expect(handler.served[0].head).toMatchObject({
      method: 'GET',
      scheme: 'http',
      authority: `127.0.0.1:${server.port}`,
    });
  });

  test('takes a chunked request and answers with chunks and trailers', async () => {
    const handler = new RecordingHandler(
      (served) =>
        void served.done.then(() => {
          served.stream.respond({ status: 200, headers: [] }, false);
          served.stream.write(Buffer.from(served.body));
          served.stream.write(Buffer.alloc(0));
          served.stream.write(Buffer.alloc(100_000, 'x'));
          served.stream.end(['x-sum', '1']);
        }),
    );
    server = await serve(handler);
    const { response, text } = await fetchWithNode({ port: server.port, method: 'POST', agent }, ['one', 'two']);
    expect(text).toBe(`onetwo${'x'.repeat(100_000)}`);
    expect(response.trailers).toEqual({ 'x-sum': '1' });
  });

  test('sends no body for HEAD, 204 and 304, and keeps the connection', async () => {
    server = await serve(
      new RecordingHandler((served) => {
        served.stream.respond({ status: Number(served.head.path.slice(1)), headers: ['content-length', '5'] }, false);
        served.stream.write(Buffer.from('hello'));
        served.stream.end();
      }),
    );
    for (const [method, path] of [
      ['HEAD', '/200'],
      ['GET', '/204'],
      ['GET', '/304'],
      ['GET', '/200'],
    ]) {
      const { response, text } = await fetchWithNode({ port: server.port, method, path, agent });
      expect(response.statusCode).toBe(Number(path.slice(1)));
      expect(text).toBe(method === 'GET' && path === '/200' ? 'hello' : '');
      expect(response.headers['content-length']).toBe(path === '/204' ? undefined : '5');
    }
    expect(server.connections).toHaveLength(1);
  });

  test('passes interim responses on and reads the body that was waiting for them', async () => {
    const handler = new RecordingHandler((served) => {
      served.stream.informational({ status: 103, headers: ['link', '</a>'] });
      served.stream.informational({ status: 100, headers: [] });
      void served.done.then(() => served.reply(200, [], served.body));
    });
    server = await serve(handler);
    const informed: number[] = [];
    const text = await new Promise<string>((resolve) => {
      const request = nodeRequest(
        { port: server.port, method: 'PUT', headers: { expect: '100-continue' } },
        (response) => {
          response.setEncoding('latin1').on('data', resolve);
        },
      );
      request.on('information', ({ statusCode }) => informed.push(statusCode));
      request.on('continue', () => request.end('body'));
      request.flushHeaders();
    });
    expect(text).toBe('body');
    expect(informed).toEqual([103, 100]);
    expect(handler.served[0].head.headers).toContain('expect');
  });
});

describe('On a raw connection, a server', () => {
  let server: TestServer;
  afterEach(() => server.close());

  test('answers pipelined requests in order, one at a time', async () => {
    let working = 0;
    const handler = new RecordingHandler((served) => {
      expect(++working).toBe(1);
      setImmediate(() => {
        working--;
        served.reply(200, ['content-length', '2'], served.head.path);
      });
    });
    server = await serve(handler);
    const requests = [1, 2, 3].map((each) => `GET /${each} HTTP/1.1\r\nhost: a\r\n\r\n`).join('');
    const answer = await rawExchange(server.port, requests, true);
    expect(answer.match(/\/\d$|\/\d(?=HTTP)/g)).toEqual(['/1', '/2', '/3']);
  });

  test('answers a client that ended its side', async () => {
    server = await serve(
      new RecordingHandler((served) => setImmediate(() => served.reply(200, ['content-length', '4'], 'late'))),
    );
    const answer = await rawExchange(server.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n', true);
    expect(answer).toMatch(/late$/);
  });

  test('answers 400 when the client ends inside a head, and tells the handler when inside a body', async () => {
    const handler = new RecordingHandler();
    server = await serve(handler);
    expect(await rawExchange(server.port, 'GET / HTTP/1.1\r\nho', true)).toMatch(/^HTTP\/1\.1 400 /);
    expect(handler.served).toHaveLength(0);
    const half = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhe';
    expect(await rawExchange(server.port, half, true)).toMatch(/^HTTP\/1\.1 400 /);
    expect(handler.served[0]).toMatchObject({ body: 'he', ended: false, reset: 'connection' });
  });

  test('closes when the client asks to, even if it also asks to keep', async () => {
    server = await serve(answering());
    const answer = await rawExchange(server.port, 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close, keep-alive\r\n\r\n');
    expect(answer).toBe(
      'HTTP/1.1 200 OK\r\nx-body: \r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    );
  });

  test('serves HTTP/1.0: body to the end of the connection, or kept with a length', async () => {
    server = await serve(answering());
    const answer = await rawExchange(server.port, 'GET / HTTP/1.0\r\n\r\n');
    expect(answer).toBe('HTTP/1.1 200 OK\r\nx-body: \r\nconnection: close\r\n\r\nok');
    server.close();
    const handler = new RecordingHandler((served) => served.reply(200, ['content-length', '2'], 'ok'));
    server = await serve(handler);
    const kept = await rawExchange(
      server.port,
      'GET /1 HTTP/1.0\r\nconnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n',
    );
    expect(kept).toBe(
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok' +
        'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok',
    );
    expect(handler.served[0].head.authority).toBe('');
  });

  test('gives the client its answer although the request was not read to its end', async () => {
    const handler = new RecordingHandler((served) => served.reply(413, [], ''));
    server = await serve(handler);
    const head = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n';
    const answer = await rawExchange(server.port, [head, 'x'.repeat(1_000_000)]);
    expect(answer).toBe('HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    expect(handler.served[0].body).toBe('');
  });

  test('closes after a final answer to a client that waits for 100', async () => {
    server = await serve(new RecordingHandler((served) => served.reply(403, [], '')));
    const head = 'POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n';
    expect(await rawExchange(server.port, head)).toMatch(/^HTTP\/1\.1 403 .*\r\nconnection: close\r\n\r\n$/s);
  });

  test('hands the connection over for CONNECT, or answers when that is refused', async () => {
    const handler = answering();
    const tunnels: string[] = [];
    handler.onConnect = (authority, connection: Connection, rest, refuse) => {
      tunnels.push(authority);
      if (authority.startsWith('no')) return refuse(403);
      connection.write(`HTTP/1.1 200 OK\r\n\r\n${rest.toString('latin1')}`);
      connection.handler = {
        onData: (chunk) => connection.write(chunk),
        onEnd: () => connection.end(),
        onDrain() {},
        onClose() {},
      };
    };
    server = await serve(handler);
    const head = 'GET / HTTP/1.1\r\nhost: a\r\n\r\nCONNECT Yes:443 HTTP/1.1\r\nhost: yes:443\r\n\r\nearly ';
    const answer = await rawExchange(server.port, [head, 'late'], true);
    expect(answer).toMatch(/2\r\nok\r\n0\r\n\r\nHTTP\/1\.1 200 OK\r\n\r\nearly late$/);
    expect(server.connections[0].active).toBe(0);
    const refused = await rawExchange(server.port, 'CONNECT no:443 HTTP/1.1\r\nhost: no:443\r\n\r\n');
    expect(refused).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    expect(tunnels).toEqual(['yes:443', 'no:443']);
  });

  test('drains: answers what it has, says close, and closes idle connections soon', async () => {
    let late: Served | undefined;
    const handler = new RecordingHandler((served) => {
      late = served;
      for (const connection of server.connections) connection.drain();
      setImmediate(() => served.reply(200, [], ''));
    });
    server = await serve(handler);
    const idle = rawExchange(server.port, '');
    const answer = await rawExchange(
      server.port,
      'GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n',
    );
    expect(answer).toBe('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    expect(late?.head.path).toBe('/1');
    expect(await idle).toBe('');
  });

  test('tells the handler when the client breaks the connection off', async () => {
    let socket: Socket | undefined;
    const handler = new RecordingHandler(() => socket?.resetAndDestroy());
    server = await serve(handler);
    socket = connect({ port: server.port, host: '127.0.0.1' });
    socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n');
    await new Promise((resolve) => socket?.once('close', resolve));
    await handler.served[0].done;
    expect(handler.served[0]).toMatchObject({ ended: false, reset: 'connection' });
    expect(server.connections[0].active).toBe(0);
  });
});

describe('A request head', () => {
  const headOf = (text: string) => {
    const handler = new RecordingHandler();
    const { connection } = overMemory(handler);
    connection.receive(text);
    return handler.served[0]?.head;
  };

  test('loses what concerns one hop only', () => {
    const head = headOf(
      'GET /a?b HTTP/1.1\r\nHost: A:80\r\nConnection: keep-alive, x-hop, upgrade\r\nX-Hop: 1\r\nX-End: 2\r\nKeep-Alive: timeout=5\r\n' +
        'Proxy-Connection: keep-alive\r\nProxy-Authorization: x\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\n' +
        'HTTP2-Settings: x\r\nTE: gzip, trailers\r\nContent-Length: 003\r\n\r\n',
    );
    expect(head).toEqual({
      method: 'GET',
      scheme: 'http',
      authority: 'a:80',
      path: '/a?b',
      headers: ['x-end', '2', 'content-length', '3', 'te', 'trailers'],
    });
  });

  test('keeps the fields others rely on, whatever the connection field lists', () => {
    const names = ['authorization', 'x-forwarded-for', 'x-forwarded-anything', 'cookie', 'x-request-id', 'traceparent'];
    const lines = names.map((name) => `${name}: 1\r\n`).join('');
    const head = headOf(`GET / HTTP/1.1\r\nhost: a\r\nconnection: ${names.join(', ')}\r\n${lines}\r\n`);
    expect(head.headers).toEqual(names.flatMap((name) => [name, '1']));
  });

  test.each([
    ['GET http://B.example/x?y HTTP/1.1', 'http', 'b.example', '/x?y'],
    ['GET HTTPS://b:8443?y HTTP/1.1', 'https', 'b:8443', '/?y'],
    ['GET http://b HTTP/1.1', 'http', 'b', '/'],
    ['GET http://[::1]:80/ HTTP/1.1', 'http', '[::1]:80', '/'],
    ['OPTIONS http://b HTTP/1.1', 'http', 'b', '*'],
    ['OPTIONS * HTTP/1.1', 'http', 'a', '*'],
    ['GET //b/x HTTP/1.1', 'http', 'a', '//b/x'],
    ['GET / HTTP/1.2', 'http', 'a', '/'],
  ])('with %s asks %s %s for %s', (line, scheme, authority, path) => {
    expect(headOf(`${line}\r\nhost: a\r\n\r\n`)).toMatchObject({ scheme, authority, path });
  });

  test('may follow one empty line', () => {
    expect(headOf('\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n')).toMatchObject({ path: '/' });
  });
});

describe('A response', () => {
  test('with a small body leaves as one write', async () => {
    const handler = new RecordingHandler((served) => served.reply(200, ['content-length', '2'], 'ok'));
    const { connection } = overMemory(handler);
    connection.receive('GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await turn();
    expect(connection.writes).toEqual(['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'.repeat(2)]);
  });

  test('leaves as one write with its head, in a turn, and what was given for it may change at once', async () => {
    const parts = [
      ['a', 5000],
      ['b', 10_000],
      ['c', 100_000],
      ['d', 35_000],
    ] as const;
    const handler = new RecordingHandler(({ stream }) => {
      stream.respond({ status: 200, headers: ['content-length', '150000'] }, false);
      for (const [letter, size] of parts) {
        const part = Buffer.alloc(size, letter);
        stream.write(part);
        part.fill('!');
      }
      stream.end();
    });
    const { connection } = overMemory(handler);
    connection.receive('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await turn();
    expect(connection.writes).toHaveLength(1);
    const body = parts.map(([letter, size]) => letter.repeat(size)).join('');
    expect(connection.written).toBe(`HTTP/1.1 200 OK\r\ncontent-length: 150000\r\n\r\n${body}`);
  });

  test.each([
    ['a value with a line end', ['x', 'a\r\nset-cookie: b'], '', undefined],
    ['a value with NUL', ['x', '\0'], '', undefined],
    ['a value latin1 would cut to a line end', ['x', '\u010a'], '', undefined],
    ['a name with a line end', ['x\r\ny', 'a'], '', undefined],
    ['a name with a colon', ['x:', 'a'], '', undefined],
    ['an upper-case name', ['X-a', 'a'], '', undefined],
    ['an empty name', ['', 'a'], '', undefined],
    ['two lengths', ['content-length', '0', 'content-length', '1'], '', undefined],
    ['a length that is none', ['content-length', '1, 1'], 'a', undefined],
    ['a length without body', ['content-length', '5'], '', undefined],
    ['a body beyond its length', ['content-length', '1'], 'smuggled', undefined],
    ['a body below its length', ['content-length', '9'], 'hello', undefined],
    ['a trailer with a line end', [], 'hello', ['x', '\r\n']],
  ])('with %s resets the exchange', async (_title, headers, body, trailers) => {
    const handler = new RecordingHandler();
    const { connection } = overMemory(handler);
    connection.receive('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    const { stream } = handler.served[0];
    stream.respond({ status: 200, headers }, body === '');
    if (body !== '') {
      stream.write(Buffer.from(body));
      stream.end(trailers);
    }
    await turn();
    expect(handler.served[0].reset).toBe('internal');
    expect(connection.destroyed).toBe(true);
    expect(connection.written).not.toMatch(/set-cookie|smuggled|\0/);
  });

  test('that is refused inside onRequest is told to the receiver that comes of it', () => {
    const handler = new RecordingHandler(({ stream }) => stream.respond({ status: 200, headers: ['x', '\n'] }, true));
    const { connection } = overMemory(handler);
    connection.receive('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    expect(handler.served[0].reset).toBe('internal');
  });

  test('drops fields of the hop, which the codec writes itself', async () => {
    const handler = new RecordingHandler((served) =>
      served.reply(
        200,
        ['connection', 'x', 'transfer-encoding', 'gzip', 'keep-alive', '1', 'upgrade', 'h2c', 'a', 'b'],
        '',
      ),
    );
    const { connection } = overMemory(handler);
    connection.receive('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await turn();
    expect(connection.written).toBe('HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 0\r\n\r\n');
  });
});

describe('Flow control', () => {
  const post = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n';
  const get = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

  test('stops reading while the handler wants no body, and goes on when it does', () => {
    const handler = new RecordingHandler();
    const { connection } = overMemory(handler);
    connection.receive(post);
    handler.served[0].stream.pause();
    expect(connection.paused).toBe(true);
    handler.served[0].stream.resume();
    expect(connection.paused).toBe(false);
    connection.receive('body');
    expect(handler.served[0]).toMatchObject({ body: 'body', ended: true });
  });

  test('stops reading when a request waits for the one in work', async () => {
    const handler = new RecordingHandler();
    const { connection, server } = overMemory(handler);
    connection.receive(get + get.slice(0, 5));
    expect(connection.paused).toBe(true);
    expect(server.active).toBe(1);
    handler.served[0].reply(200, [], '');
    expect(connection.paused).toBe(false);
    connection.receive(get.slice(5));
    expect(handler.served).toHaveLength(2);
  });

  test('reads on after it closed, so that no waiting bytes turn the close into a reset', () => {
    const handler = new RecordingHandler();
    const { connection, server } = overMemory(handler);
    connection.receive(get + get);
    expect(connection.paused).toBe(true);
    server.drain();
    handler.served[0].reply(200, [], '');
    expect(connection).toMatchObject({ ended: true, destroyed: false, paused: false });
    connection.receive(get);
    expect(handler.served).toHaveLength(1);
  });

  test('answers a request that was under way when draining began, and says that it was the last', async () => {
    const handler = new RecordingHandler((served) => served.reply(200, [], ''));
    const { connection, server } = overMemory(handler);
    connection.receive(get);
    server.drain();
    expect([connection.ended, connection.destroyed]).toEqual([false, false]);
    connection.receive(get + get);
    expect(connection.written.match(/connection: \S+|200 OK/g)).toEqual(['200 OK', '200 OK', 'connection: close']);
    expect([handler.served.length, connection.ended]).toEqual([2, true]);
  });

  test('takes one more request where draining began after it had said that it would', async () => {
    const handler = new RecordingHandler();
    const { connection, server } = overMemory(handler);
    connection.receive(get);
    handler.served[0].stream.respond({ status: 200, headers: ['content-length', '2'] }, false);
    server.drain();
    handler.served[0].stream.write(Buffer.from('ok'));
    handler.served[0].stream.end();
    expect(connection.ended).toBe(false);
    connection.receive(get);
    handler.served[1].reply(200, [], '');
    expect(connection.written).toMatch(/connection: close/);
    expect(connection.ended).toBe(true);
  });

  test('draining, closes what stays idle for a second, and cuts nobody off who reads slowly or sends a head', async () => {
    const handler = new RecordingHandler((served) => served.reply(200, [], 'x'.repeat(100)));
    const clock = new ManualClock();
    const [idle, slow, sending] = [1, 2, 3].map(() => overMemory(handler, clock));
    idle.connection.receive(get);
    slow.connection.takesMore = false;
    slow.connection.receive(get);
    sending.connection.receive(get.slice(0, 5));
    for (const { server } of [idle, slow, sending]) server.drain();
    clock.advance(999);
    expect(idle.connection.ended).toBe(false);
    clock.advance(1);
    expect([idle, slow, sending].map(({ connection: { ended, destroyed } }) => [ended, destroyed])).toEqual([
      [true, false],
      [false, false],
      [false, false],
    ]);
    sending.connection.receive(get.slice(5));
    expect(sending.connection.written).toMatch(/200 OK[\s\S]*connection: close/);
    slow.connection.takesMore = true;
    slow.connection.handler.onDrain();
    clock.advance(1000);
    expect(slow.connection).toMatchObject({ ended: true, destroyed: false });
  });

  test('starts no further request while the client does not read its answers', async () => {
    const handler = new RecordingHandler((served) => served.reply(200, [], 'x'.repeat(300_000)));
    const { connection } = overMemory(handler);
    connection.takesMore = false;
    connection.receive(get.repeat(3));
    expect(handler.served).toHaveLength(1);
    expect(connection.paused).toBe(true);
    connection.takesMore = true;
    connection.handler.onDrain();
    expect(handler.served).toHaveLength(3);
    expect(connection.paused).toBe(false);
  });

  test('tells the handler to wait and when to go on', () => {
    const handler = new RecordingHandler();
    const { connection } = overMemory(handler);
    connection.receive(get);
    const { stream } = handler.served[0];
    stream.respond({ status: 200, headers: [] }, false);
    expect(stream.write(Buffer.alloc(300_000))).toBe(true);
    connection.takesMore = false;
    expect(stream.write(Buffer.alloc(300_000))).toBe(false);
    connection.handler.onDrain();
    expect(handler.served[0].drains).toBe(1);
    connection.handler.onDrain();
    expect(handler.served[0].drains).toBe(1);
  });

  test('keeps the connection by reading what little is left of an unwanted body', async () => {
    const handler = new RecordingHandler((served) => served.reply(403, [], ''));
    const { connection } = overMemory(handler);
    connection.receive(`${post}bo`);
    connection.receive(`dy${get}`);
    await turn();
    expect(handler.served).toHaveLength(2);
    expect(handler.served[0].body).toBe('');
    expect(connection.written).toBe('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n'.repeat(2));
  });

  test('stays silent to a handler that reset its exchange', () => {
    const handler = new RecordingHandler();
    const { connection } = overMemory(handler);
    connection.receive(post);
    const { stream } = handler.served[0];
    stream.reset('cancelled');
    expect(connection.destroyed).toBe(true);
    connection.receive('body');
    connection.handler.onClose();
    expect(stream.write(Buffer.from('x'))).toBe(true);
    stream.end();
    expect(handler.served[0]).toMatchObject({ body: '', ended: false, reset: undefined });
  });

  test('stays silent to it inside onRequest as well', () => {
    const handler = new RecordingHandler(({ stream }) => stream.reset('cancelled'));
    const { connection } = overMemory(handler);
    connection.receive(post);
    expect(connection.destroyed).toBe(true);
    expect(handler.served[0].reset).toBeUndefined();
  });
});
