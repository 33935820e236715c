import { describe, expect, test } from '@jest/globals';
import { type Clock, systemClock } from '../../../runtime/model/index.ts';
import { createHttp1Server } from '../../../runtime/net/http1/index.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { limits, MemoryConnection, RecordingHandler, turn } from './support.ts';

function overMemory(handler: RecordingHandler, clock: Clock = systemClock) {
  const connection = new MemoryConnection();
  const server = createHttp1Server(connection, handler, { limits: limits(), clock, scheme: 'http' });
  return { connection, server };
}

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
