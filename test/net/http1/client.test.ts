import { createServer, type RequestListener } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../runtime/model/index.ts';
import type { ClientConnection, HeaderList, HttpLimits } from '../../../runtime/net/http.ts';
import { createHttp1Client } from '../../../runtime/net/http1/index.ts';
import { socketConnection } from '../../../runtime/net/socket.ts';
import { listening } from '../../support/listening.ts';
import { Fetched, limits, listenRaw, MemoryConnection, turn } from './support.ts';

const closers: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function watch(connection: Parameters<typeof createHttp1Client>[0], change: Partial<HttpLimits> = {}) {
  const heard = { capacity: 0, retired: 0 };
  const owner = { onCapacity: () => heard.capacity++, onRetire: () => heard.retired++ };
  return { client: createHttp1Client(connection, owner, { limits: limits(change), clock: systemClock }), heard };
}

async function connected(port: number) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  closers.push(() => void socket.destroy());
  return watch(socketConnection(socket));
}

/** Node's own server, as a peer that was not written here. */
async function nodeServer(listener: RequestListener): Promise<number> {
  const { port, close } = await listening(createServer(listener));
  closers.push(close);
  return port;
}

async function rawServer(onSocket: (socket: Socket) => void): Promise<number> {
  const server = await listenRaw(onSocket);
  closers.push(() => server.close());
  return server.port;
}

function send(
  client: ClientConnection,
  {
    method = 'GET',
    path = '/',
    headers = [],
    body,
  }: { method?: string; path?: string; headers?: HeaderList; body?: string } = {},
): Fetched {
  const fetched = new Fetched();
  const stream = client.request(
    { method, scheme: 'http', authority: 'a.example', path, headers },
    body === undefined,
    fetched,
  );
  if (body !== undefined) {
    stream.write(Buffer.from(body, 'latin1'));
    stream.end();
  }
  return fetched;
}

describe('With a server of Node, a client', () => {
  test('sends requests one after the other on one connection', async () => {
    const ports = new Set<number | undefined>();
    const port = await nodeServer((request, response) => {
      ports.add(request.socket.remotePort);
      response.end(`${request.method} ${request.url} ${request.headers.host}`);
    });
    const { client, heard } = await connected(port);
    for (const path of ['/1', '/2?x', '/3']) {
      expect(client.capacity).toBe(1);
      const fetched = send(client, { path });
      expect(client).toMatchObject({ capacity: 0, active: 1 });
      expect((await fetched.done).body).toBe(`GET ${path} a.example`);
      expect(fetched.head?.headers).toContain('date');
      expect(fetched.head?.headers).not.toContain('keep-alive');
    }
    expect(ports.size).toBe(1);
    expect(heard).toEqual({ capacity: 3, retired: 0 });
  });

  test('sends bodies with a length or in chunks, small and large', async () => {
    const port = await nodeServer(async (request, response) => {
      let length = 0;
      for await (const chunk of request) length += chunk.length;
      response.end(`${length} ${request.headers['content-length']} ${request.headers['transfer-encoding']}`);
    });
    const { client } = await connected(port);
    const large = 'x'.repeat(300_000);
    for (const [headers, body, expected] of [
      [[], 'hello', '5 undefined chunked'],
      [[], large, '300000 undefined chunked'],
      [['content-length', '5'], 'hello', '5 5 undefined'],
      [['content-length', '300000'], large, '300000 300000 undefined'],
      [[], undefined, '0 0 undefined'],
    ] as const) {
      expect((await send(client, { method: 'POST', headers: [...headers], body }).done).body).toBe(expected);
    }
  });

  test('hears interim responses, trailers, and no body where none can be', async () => {
    const port = await nodeServer((request, response) => {
      if (request.url === '/trailers') {
        response.writeEarlyHints({ link: '</a>' });
        response.writeHead(200, { trailer: 'x-sum' });
        response.write('body');
        response.addTrailers({ 'x-sum': '1' });
        response.end();
      } else response.writeHead(Number(request.url?.slice(1)), { 'content-length': 5 }).end('hello'.slice(5));
    });
    const { client } = await connected(port);
    const fetched = await send(client, { path: '/trailers' }).done;
    expect(fetched.informational).toEqual([{ status: 103, headers: ['link', '</a>'] }]);
    expect(fetched).toMatchObject({ body: 'body', trailers: ['x-sum', '1'] });
    expect(await send(client, { method: 'HEAD', path: '/200' }).done).toMatchObject({ body: '', ended: true });
    expect(await send(client, { path: '/304' }).done).toMatchObject({ body: '', ended: true });
    expect(client.capacity).toBe(1);
  });

  test('waits when the server does not read, and goes on when it does', async () => {
    const port = await nodeServer((request, response) => {
      request.once('readable', () => {
        request.resume();
        request.on('end', () => response.end('done'));
      });
    });
    const { client } = await connected(port);
    const fetched = new Fetched();
    const stream = client.request(
      { method: 'POST', scheme: 'http', authority: 'a', path: '/', headers: [] },
      false,
      fetched,
    );
    let sent = 0;
    const chunk = Buffer.alloc(65_536);
    while (stream.write(chunk)) sent++;
    fetched.onDrain = () => {
      fetched.drains++;
      stream.end();
    };
    expect((await fetched.done).body).toBe('done');
    expect(sent).toBeGreaterThan(0);
    expect(fetched.drains).toBe(1);
  });

  test('retires when the server closes', async () => {
    const port = await nodeServer((_request, response) => response.setHeader('connection', 'close').end('bye'));
    const { client, heard } = await connected(port);
    expect((await send(client).done).body).toBe('bye');
    expect(client.capacity).toBe(0);
    await turn();
    expect(heard).toEqual({ capacity: 0, retired: 1 });
  });
});

describe('On a raw connection, a client', () => {
  test('reads a response that ends with the connection', async () => {
    const port = await rawServer((socket) =>
      socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\nto the end')),
    );
    const { client, heard } = await connected(port);
    expect(await send(client).done).toMatchObject({ body: 'to the end', ended: true, reset: undefined });
    await turn();
    expect(heard.retired).toBe(1);
  });

  test('does not take a broken response for a whole one', async () => {
    for (const response of [
      'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n',
      'HTTP/1.1 200 OK\r\ncontent-le',
      '',
    ]) {
      const port = await rawServer((socket) => socket.once('data', () => socket.end(response)));
      const { client, heard } = await connected(port);
      expect(await send(client).done).toMatchObject({ ended: false, reset: 'connection' });
      expect(heard.retired).toBe(1);
    }
  });

  test('retires when the server closes an idle connection', async () => {
    let peer: Socket | undefined;
    const port = await rawServer((socket) => {
      peer = socket;
      socket.once('data', () => socket.write('HTTP/1.1 204 No Content\r\n\r\n'));
    });
    const { client, heard } = await connected(port);
    await send(client).done;
    expect(client.capacity).toBe(1);
    const retired = new Promise<void>((resolve) => peer?.on('close', () => resolve()));
    peer?.end();
    await retired;
    expect(heard.retired).toBe(1);
    expect(client.capacity).toBe(0);
  });
});

describe('A client', () => {
  const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

  test('sends head and small body as one write', async () => {
    const connection = new MemoryConnection();
    send(watch(connection).client, {
      method: 'PUT',
      path: '/x',
      headers: ['content-length', '2', 'te', 'trailers', 'a', 'b'],
      body: 'hi',
    });
    await turn();
    expect(connection.writes).toEqual([
      'PUT /x HTTP/1.1\r\nhost: a.example\r\ncontent-length: 2\r\nconnection: te\r\nte: trailers\r\na: b\r\n\r\nhi',
    ]);
  });

  test('never reuses a connection with bytes behind the response', async () => {
    const connection = new MemoryConnection();
    const { client, heard } = watch(connection);
    const fetched = send(client);
    await turn();
    connection.receive(`${ok}${ok}`);
    expect(fetched).toMatchObject({ body: 'ok', ended: true });
    expect(connection.destroyed).toBe(true);
    expect(heard).toEqual({ capacity: 0, retired: 1 });
  });

  test('reads an answer that comes byte by byte', async () => {
    const connection = new MemoryConnection();
    const fetched = send(watch(connection).client);
    await turn();
    for (const byte of ok) connection.receive(byte);
    expect(fetched).toMatchObject({ head: { status: 200, headers: ['content-length', '2'] }, body: 'ok', ended: true });
  });

  test('never takes an answer that came before its request', async () => {
    const idle = new MemoryConnection();
    const { heard } = watch(idle);
    idle.receive(ok);
    expect(idle.destroyed).toBe(true);
    expect(heard.retired).toBe(1);

    const early = new MemoryConnection();
    const fetched = send(watch(early).client);
    early.receive(ok);
    expect(fetched).toMatchObject({ head: undefined, reset: 'refused' });
    await turn();
    expect(early.written).toBe('');
  });

  test('says refused only when nothing was sent', async () => {
    const connection = new MemoryConnection();
    const { client } = watch(connection);
    const unsent = send(client);
    connection.handler.onEnd();
    expect(unsent.reset).toBe('refused');
    expect((await send(client).done).reset).toBe('refused');

    const other = new MemoryConnection();
    const sent = send(watch(other).client);
    await turn();
    other.handler.onClose(new Error('reset by peer'));
    expect(sent.reset).toBe('connection');
  });

  test('breaks the connection off when the response ends before the request', async () => {
    const connection = new MemoryConnection();
    const { client, heard } = watch(connection);
    const fetched = new Fetched();
    const head = { method: 'POST', scheme: 'http' as const, authority: 'a', path: '/', headers: [] };
    const stream = client.request(head, false, fetched);
    await turn();
    connection.receive('HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n');
    expect(fetched).toMatchObject({ ended: true, reset: undefined });
    expect(connection.destroyed).toBe(true);
    expect(heard).toEqual({ capacity: 0, retired: 1 });
    expect(stream.write(Buffer.from('late'))).toBe(true);
    expect(connection.written).not.toContain('late');
  });

  test('lets the exchange finish when drained, and closes at once when idle', async () => {
    const busy = new MemoryConnection();
    const { client, heard } = watch(busy);
    const fetched = send(client);
    await turn();
    client.drain();
    expect(client.capacity).toBe(0);
    busy.receive(ok);
    expect(fetched.ended).toBe(true);
    expect(busy.destroyed).toBe(true);
    expect(heard).toEqual({ capacity: 0, retired: 1 });

    const idle = new MemoryConnection();
    watch(idle).client.drain();
    expect(idle.destroyed).toBe(true);
  });

  test('resets by closing, and says nothing more', async () => {
    const connection = new MemoryConnection();
    const { client, heard } = watch(connection);
    const fetched = new Fetched();
    const stream = client.request(
      { method: 'GET', scheme: 'http', authority: 'a', path: '/', headers: [] },
      true,
      fetched,
    );
    await turn();
    stream.reset('cancelled');
    connection.receive(ok);
    expect(connection.destroyed).toBe(true);
    expect(fetched).toMatchObject({ head: undefined, ended: false, reset: undefined });
    expect(heard.retired).toBe(1);
  });

  test('stops reading while the response is not wanted, but not beyond it', async () => {
    const connection = new MemoryConnection();
    const fetched = new Fetched();
    const { client } = watch(connection);
    const stream = client.request(
      { method: 'GET', scheme: 'http', authority: 'a', path: '/', headers: [] },
      true,
      fetched,
    );
    await turn();
    stream.pause();
    expect(connection.paused).toBe(true);
    connection.receive(ok);
    expect(fetched.ended).toBe(true);
    expect(connection.paused).toBe(false);
  });

  test.each([
    ['a value with a line end', { headers: ['x', 'a\r\n\r\nGET /smuggled HTTP/1.1'] }],
    ['a name with a space', { headers: ['x y', 'a'] }],
    ['a path with a line end', { path: '/ HTTP/1.1\r\nx: y' }],
    ['a path with a space', { path: '/a b' }],
    ['a path without slash', { path: 'x' }],
    ['a method that is no token', { method: 'GET /' }],
    ['CONNECT', { method: 'CONNECT' }],
    ['a length without body', { headers: ['content-length', '5'] }],
  ])('refuses to send %s and stays usable', async (_title, request) => {
    const connection = new MemoryConnection();
    const { client, heard } = watch(connection);
    const fetched = await send(client, request).done;
    expect(fetched.reset).toBe('internal');
    await turn();
    expect(connection.written).toBe('');
    expect(client.capacity).toBe(1);
    expect(heard.capacity).toBe(1);
  });

  test('breaks off a request whose body does not keep its length', async () => {
    for (const body of ['longer than two', '1']) {
      const connection = new MemoryConnection();
      const fetched = send(watch(connection).client, { method: 'POST', headers: ['content-length', '2'], body });
      expect(fetched.reset).toBe('internal');
      expect(connection.destroyed).toBe(true);
    }
  });
});
