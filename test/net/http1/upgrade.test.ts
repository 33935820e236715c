import { describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../runtime/model/index.ts';
import type { RequestHead } from '../../../runtime/net/http.ts';
import { createHttp1Client, createHttp1Server } from '../../../runtime/net/http1/index.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { Fetched, limits, MemoryConnection, RecordingHandler, turn } from './support.ts';

const bounds = limits({ headTimeout: 1000, idleTimeout: 60_000, streamIdleTimeout: 5000 });
/** Key and answer of RFC 6455 section 1.3. */
const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
const webSocketRequest =
  'GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n' +
  `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`;

function server(handler = new RecordingHandler()) {
  const clock = new ManualClock();
  const connection = new MemoryConnection();
  const codec = createHttp1Server(connection, handler, { limits: bounds, clock, scheme: 'http' });
  return { clock, connection, handler, codec };
}

describe('A server', () => {
  test('hands an upgrade over without what belongs to the connection, and proves that it understood', async () => {
    const { connection, handler } = server();
    connection.receive(webSocketRequest);
    const [served] = handler.served;
    expect(served.head).toMatchObject({ method: 'GET', path: '/chat', upgrade: 'websocket' });
    expect(served.head.headers).toEqual(['sec-websocket-version', '13']);
    expect(served.ended).toBe(false);
    served.stream.respond({ status: 101, headers: ['sec-websocket-accept', 'forged', 'x-a', '1'] }, false);
    await turn();
    expect(connection.written).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nx-a: 1\r\n' +
        `connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
  });

  test('passes bytes both ways, also those that came too early, and each direction ends on its own', async () => {
    const { connection, handler, codec } = server();
    connection.receive(`${webSocketRequest}early,`);
    const [served] = handler.served;
    expect(connection.paused).toBe(true);
    served.stream.respond({ status: 101, headers: [] }, false);
    expect(served.body).toBe('');
    await turn();
    expect(connection.paused).toBe(false);
    connection.receive('late');
    expect(served.body).toBe('early,late');
    connection.handler.onEnd();
    expect(served).toMatchObject({ ended: true, reset: undefined });
    expect(connection.ended).toBe(false);
    served.stream.write(Buffer.from('answer'));
    served.stream.end();
    expect(connection.written).toMatch(/\r\n\r\nanswer$/);
    expect(connection.ended).toBe(true);
    expect(codec.active).toBe(0);
  });

  test('reads on after its own direction has ended, and writes no more', async () => {
    const { connection, handler, codec } = server();
    connection.receive(webSocketRequest);
    const [served] = handler.served;
    served.stream.respond({ status: 101, headers: [] }, false);
    served.stream.end();
    served.stream.end();
    expect(connection.ended).toBe(true);
    const { length } = connection.writes;
    expect(served.stream.write(Buffer.from('more'))).toBe(true);
    await turn();
    expect(connection.writes).toHaveLength(length);
    connection.receive('still here');
    expect(served).toMatchObject({ body: 'still here', ended: false });
    expect(codec.active).toBe(1);
    connection.handler.onEnd();
    expect(served.ended).toBe(true);
    expect(codec.active).toBe(0);
  });

  test('leaves it to the handler how long a tunnel may be silent', () => {
    const { connection, handler, clock } = server();
    connection.receive(webSocketRequest);
    handler.served[0].stream.respond({ status: 101, headers: [] }, false);
    clock.advance(10_000_000);
    expect(connection.ended || connection.destroyed).toBe(false);
    handler.served[0].stream.reset('cancelled');
    expect(connection.destroyed).toBe(true);
  });

  test('waits no longer for the answer to an upgrade than for any other', () => {
    const { connection, handler, clock } = server();
    connection.receive(webSocketRequest);
    clock.advance(5000);
    expect(connection.written).toMatch(/^HTTP\/1\.1 504 /);
    expect(handler.served[0].reset).toBe('cancelled');
  });

  test('tells the handler to wait, and stops reading, in a tunnel too', () => {
    const { connection, handler } = server();
    connection.receive(webSocketRequest);
    const [served] = handler.served;
    served.stream.respond({ status: 101, headers: [] }, false);
    connection.takesMore = false;
    expect(served.stream.write(Buffer.alloc(300_000))).toBe(false);
    connection.takesMore = true;
    connection.handler.onDrain();
    expect(served.drains).toBe(1);
    served.stream.pause();
    expect(connection.paused).toBe(true);
    served.stream.resume();
    expect(connection.paused).toBe(false);
  });

  test('has no 101 for a request that did not ask', async () => {
    const { connection, handler } = server();
    connection.receive('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    handler.served[0].stream.respond({ status: 101, headers: [] }, false);
    await turn();
    expect(connection.written).toBe('');
    expect(connection.destroyed).toBe(true);
  });

  test('answers an upgrade of HTTP/1.0 as if it were none', async () => {
    const { connection, handler } = server();
    connection.receive(webSocketRequest.replace('HTTP/1.1', 'HTTP/1.0'));
    expect(handler.served[0]).toMatchObject({ ended: true, head: { upgrade: undefined } });
  });

  test('hands HTTP/2 over that begins at once, whatever came of it so far, but not later', () => {
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
    const handler = new RecordingHandler();
    let taken: string | undefined;
    handler.onHttp2 = (_connection, bytes) => {
      taken = bytes.toString('latin1');
    };
    const first = server(handler);
    for (const byte of preface.slice(0, 18)) first.connection.receive(byte);
    expect(taken).toBe(preface.slice(0, 18));
    expect(first.connection.written).toBe('');
    taken = undefined;
    const later = server(handler);
    later.connection.receive('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    handler.served[0].reply(200, [], '');
    later.connection.receive(preface);
    expect(taken).toBeUndefined();
    expect(later.connection.written).toMatch(/HTTP\/1\.1 505 /);
  });

  test.each([
    ['HTTP/2 that begins wrongly', 'INVALID CONNECTION PREFACE\r\n\r\n', ''],
    ['TLS', '\x16\x03\x01\x02\0\x01\0\x01', ''],
    ['a request without version', 'GET /\r\nhost: a\r\n\r\n', ''],
    ['a malformed request', 'GET / HTTP/1.1\r\nno colon\r\n\r\n', '400'],
    ['a request behind empty lines', '\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n', '400'],
    ['a request with bare LF', 'GET / HTTP/1.1\nhost: a\n\n', '400'],
    ['HTTP/3', 'GET / HTTP/3.0\r\nhost: a\r\n\r\n', '505'],
    ['a head without end', `GET /${'x'.repeat(70_000)}`, '431'],
  ])('answers in HTTP/1.1 only to who spoke it, where HTTP/2 may come: %s', (_title, bytes, status) => {
    const handler = new RecordingHandler();
    handler.onHttp2 = () => {
      throw new Error('not HTTP/2');
    };
    const { connection } = server(handler);
    connection.receive(bytes);
    expect(connection.written.slice(9, 12)).toBe(status);
    expect(connection.ended).toBe(true);
  });
});

const offer: RequestHead = {
  method: 'GET',
  scheme: 'http',
  authority: 'a',
  path: '/chat',
  headers: ['sec-websocket-key', 'of another connection', 'x-a', '1'],
  upgrade: 'websocket',
};

async function client(head: RequestHead = offer) {
  const connection = new MemoryConnection();
  const events: string[] = [];
  const owner = { onCapacity: () => events.push('capacity'), onRetire: () => events.push('retire') };
  const clock = new ManualClock();
  const codec = createHttp1Client(connection, owner, { limits: bounds, clock });
  const fetched = new Fetched();
  const stream = codec.request({ ...head, headers: [...head.headers] }, false, fetched);
  await turn();
  return { connection, codec, fetched, stream, events, clock };
}

const switching = (fields: string): string => `HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n`;
const echo = { ...offer, upgrade: 'echo' };
const toEcho = switching('connection: upgrade\r\nupgrade: echo\r\n');

describe('A client', () => {
  test('asks with a key of its own', async () => {
    const { connection } = await client();
    expect(connection.written).toMatch(
      /^GET \/chat HTTP\/1\.1\r\nhost: a\r\nx-a: 1\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: [A-Za-z0-9+/]{22}==\r\n\r\n$/,
    );
    expect((await client()).connection.written).not.toBe(connection.written);
  });

  test('passes bytes both ways after 101, and each direction ends on its own', async () => {
    const { connection, fetched, stream, codec, events } = await client(echo);
    connection.receive(`${toEcho}with it,`);
    expect(fetched.head).toEqual({ status: 101, headers: [] });
    connection.receive('behind');
    expect(fetched.body).toBe('with it,behind');
    expect(codec).toMatchObject({ capacity: 0, active: 1 });
    connection.handler.onEnd();
    expect(fetched).toMatchObject({ ended: true, reset: undefined });
    stream.write(Buffer.from('yes'));
    stream.end();
    expect(connection.written).toMatch(/\r\n\r\nyes$/);
    expect(connection).toMatchObject({ ended: true, destroyed: false });
    expect(codec).toMatchObject({ capacity: 0, active: 0 });
    expect(events).toEqual(['retire']);
  });

  test('lets a peer close that ended, but not for ever', async () => {
    const { connection, stream, clock } = await client(echo);
    connection.receive(toEcho);
    stream.end();
    connection.handler.onEnd();
    expect(connection.destroyed).toBe(false);
    clock.advance(2000);
    expect(connection.destroyed).toBe(true);
  });

  test('leaves it to the caller how long a tunnel may be silent', async () => {
    const { connection, clock, stream } = await client(echo);
    connection.receive(toEcho);
    clock.advance(10_000_000);
    stream.write(Buffer.from('x'));
    clock.advance(10_000_000);
    expect(connection.destroyed).toBe(false);
  });

  test('goes on through a drain', async () => {
    const { connection, codec, fetched, events } = await client(echo);
    connection.receive(toEcho);
    codec.drain();
    connection.receive('more');
    expect(fetched.body).toBe('more');
    expect(events).toEqual([]);
  });

  test('gives nothing to a server that has not accepted', async () => {
    const { connection, stream, fetched } = await client(echo);
    stream.write(Buffer.from('too early'));
    expect(fetched.reset).toBe('internal');
    expect(connection.written).not.toContain('early');
  });

  test('never sends another request on a connection whose server refused', async () => {
    const { connection, fetched, codec, events } = await client();
    connection.receive('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno');
    expect(fetched).toMatchObject({ body: 'no', ended: true, reset: undefined });
    expect(connection.destroyed).toBe(true);
    expect(codec.capacity).toBe(0);
    expect(events).toEqual(['retire']);
  });

  test('tells of a tunnel that breaks', async () => {
    const { connection, fetched } = await client(echo);
    connection.receive(toEcho);
    connection.handler.onClose();
    expect(fetched).toMatchObject({ ended: false, reset: 'connection' });
  });

  test('offers nothing together with a body', async () => {
    const { connection, fetched } = await client({ ...echo, headers: ['content-length', '3'] });
    await turn();
    expect(fetched.reset).toBe('internal');
    expect(connection.written).toBe('');
  });
});

test('Server and client understand each other', async () => {
  const { connection: here, fetched } = await client();
  const there = new MemoryConnection();
  const handler = new RecordingHandler();
  createHttp1Server(there, handler, { limits: bounds, clock: systemClock, scheme: 'http' });
  there.receive(here.written);
  handler.served[0].stream.respond({ status: 101, headers: ['sec-websocket-protocol', 'chat'] }, false);
  handler.served[0].stream.write(Buffer.from('hello'));
  await turn();
  here.receive(there.written);
  expect(fetched.head).toEqual({ status: 101, headers: ['sec-websocket-protocol', 'chat'] });
  expect(fetched.body).toBe('hello');
});
