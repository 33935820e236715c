import { describe, expect, test } from '@jest/globals';
import { createHttp1Client, createHttp1Server } from '../../../runtime/net/http1/index.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { Fetched, limits, MemoryConnection, RecordingHandler, turn } from './support.ts';

const bounds = limits({ headTimeout: 1000, idleTimeout: 60_000, streamIdleTimeout: 5000 });
const get = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

function server(handler = new RecordingHandler()) {
  const clock = new ManualClock();
  const connection = new MemoryConnection();
  createHttp1Server(connection, handler, { limits: bounds, clock, scheme: 'http' });
  return { clock, connection, handler };
}

describe('A server', () => {
  test('closes a connection on which nothing happens', () => {
    const { clock, connection } = server();
    clock.advance(59_000);
    expect(connection.ended).toBe(false);
    clock.advance(1000);
    expect(connection.ended).toBe(true);
    expect(connection.written).toBe('');
    clock.advance(2000);
    expect(connection.destroyed).toBe(true);
  });

  test('answers 408 to a head that does not come to its end, drip by drip', () => {
    const { clock, connection } = server();
    clock.advance(30_000);
    for (const byte of 'GET / HTTP') {
      connection.receive(byte);
      clock.advance(90);
    }
    expect(connection.written).toBe('');
    connection.receive('/');
    clock.advance(100);
    expect(connection.written).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    expect(connection.ended).toBe(true);
  });

  test('gives a head no more time because the response before it was read late', async () => {
    const { clock, connection, handler } = server();
    connection.takesMore = false;
    connection.receive(`${get}GET / HTTP`);
    handler.served[0].stream.respond({ status: 204, headers: [] }, true);
    await turn();
    clock.advance(500);
    connection.takesMore = true;
    connection.handler.onDrain();
    clock.advance(999);
    expect(connection.written).not.toContain('408');
    clock.advance(1);
    expect(connection.written).toMatch(/HTTP\/1\.1 408 Request Timeout\r\n/);
  });

  test('waits for a client that reads the last response slowly, and then for it to close', () => {
    const open = () => {
      const opened = server();
      opened.connection.takesMore = false;
      opened.connection.receive('GET / HTTP/1.0\r\nhost: a\r\n\r\n');
      opened.handler.served[0].reply(200, [], 'x'.repeat(100));
      expect(opened.connection.ended).toBe(true);
      return opened;
    };
    const slow = open();
    slow.clock.advance(4999);
    expect(slow.connection.destroyed).toBe(false);
    slow.connection.handler.onDrain();
    slow.clock.advance(1999);
    expect(slow.connection.destroyed).toBe(false);
    slow.clock.advance(1);
    expect(slow.connection.destroyed).toBe(true);
    const stuck = open();
    stuck.clock.advance(5000);
    expect(stuck.connection.destroyed).toBe(true);
  });

  test('answers 408 to a body that stops coming, and tells the handler', () => {
    const { clock, connection, handler } = server();
    connection.receive('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n');
    clock.advance(4000);
    connection.receive('x');
    clock.advance(4999);
    expect(connection.written).toBe('');
    clock.advance(1);
    expect(connection.written).toMatch(/^HTTP\/1\.1 408 /);
    expect(handler.served[0].reset).toBe('cancelled');
  });

  test('answers 504 when the handler does not, and breaks off a response that stops', async () => {
    const { clock, connection, handler } = server();
    connection.receive(get);
    clock.advance(5000);
    expect(connection.written).toMatch(/^HTTP\/1\.1 504 /);
    expect(handler.served[0].reset).toBe('cancelled');

    const other = server();
    other.connection.receive(get);
    other.handler.served[0].stream.respond({ status: 200, headers: [] }, false);
    other.clock.advance(5000);
    expect(other.connection.destroyed).toBe(true);
    expect(other.handler.served[0].reset).toBe('cancelled');
  });

  test('breaks off a client that does not read its answer', () => {
    const { clock, connection } = server(new RecordingHandler((served) => served.reply(200, [], 'x'.repeat(300_000))));
    connection.takesMore = false;
    connection.receive(get);
    clock.advance(5000);
    expect(connection.destroyed).toBe(true);
  });

  test('starts no timer for each request', () => {
    const { clock, connection } = server(new RecordingHandler((served) => served.reply(200, [], '')));
    for (let i = 0; i < 1000; i++) connection.receive(get);
    expect(clock.scheduled).toBe(1);
  });
});

describe('A client', () => {
  function open() {
    const clock = new ManualClock();
    const connection = new MemoryConnection();
    let retired = 0;
    const owner = { onCapacity() {}, onRetire: () => retired++ };
    const client = createHttp1Client(connection, owner, { limits: bounds, clock });
    const send = async () => {
      const fetched = new Fetched();
      client.request({ method: 'GET', scheme: 'http', authority: 'a', path: '/', headers: [] }, true, fetched);
      await turn();
      return fetched;
    };
    return { clock, connection, client, send, retired: () => retired };
  }

  test('retires an idle connection', () => {
    const { clock, connection, client, retired } = open();
    clock.advance(60_000);
    expect(connection.destroyed).toBe(true);
    expect(client.capacity).toBe(0);
    expect(retired()).toBe(1);
  });

  test('retires an idle connection one second before the peer would', async () => {
    const { clock, connection, client, send, retired } = open();
    for (let i = 0; i < 3; i++) {
      const fetched = await send();
      connection.receive('HTTP/1.1 200 OK\r\nkeep-alive: timeout=5, max=100\r\ncontent-length: 0\r\n\r\n');
      expect(fetched.ended).toBe(true);
      clock.advance(3999);
      expect(client.capacity).toBe(1);
    }
    clock.advance(1);
    expect(connection.destroyed).toBe(true);
    expect(retired()).toBe(1);
  });

  test('does so half a second before one that waits a second only', async () => {
    const { clock, connection, client, send } = open();
    await send();
    connection.receive('HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 0\r\n\r\n');
    clock.advance(499);
    expect(client.capacity).toBe(1);
    clock.advance(1);
    expect(connection.destroyed).toBe(true);
  });

  test('gives up a response that does not come, or stops coming', async () => {
    const silent = open();
    const first = await silent.send();
    silent.clock.advance(5000);
    expect(first.reset).toBe('cancelled');
    expect(silent.retired()).toBe(1);

    const slow = open();
    const second = await slow.send();
    slow.clock.advance(4000);
    slow.connection.receive('HTTP/1.1 200');
    slow.clock.advance(999);
    slow.connection.receive(' OK');
    expect(second.reset).toBeUndefined();
    slow.clock.advance(1);
    expect(second.reset).toBe('cancelled');
  });
});
