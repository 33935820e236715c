import { Agent, type IncomingMessage, request as nodeRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Connection } from '../../../runtime/net/connection.ts';
import { RecordingHandler, rawExchange, type Served, serve, type TestServer } from './support.ts';

const answering = (): RecordingHandler =>
  new RecordingHandler((served) => void served.done.then(() => served.reply(200, ['x-body', served.body], 'ok')));

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
    const requests = [1, 2, 3].map((each) => `GET /${each} HTTP/1.1\r\nhost: a\r\n`).join('\r\n');
    const answer = await rawExchange(server.port, `${requests}connection: close\r\n\r\n`);
    expect(answer.match(/\/\d$|\/\d(?=HTTP)/g)).toEqual(['/1', '/2', '/3']);
  });

  test('takes a client that ends its side for gone, and tells the handler', async () => {
    const handler = new RecordingHandler();
    server = await serve(handler);
    expect(await rawExchange(server.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n', true)).toBe('');
    expect(handler.served[0]).toMatchObject({ ended: true, reset: 'connection' });
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
