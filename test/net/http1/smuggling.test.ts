import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../runtime/model/index.ts';
import { createHttp1Client, createHttp1Server } from '../../../runtime/net/http1/index.ts';
import { brokenBodies, brokenResponses, chunkedHead, refused, smuggled } from './malformed.ts';
import {
  Fetched,
  limits,
  MemoryConnection,
  RecordingHandler,
  rawExchange,
  serve,
  type TestServer,
  turn,
} from './support.ts';

describe('A server', () => {
  let server: TestServer;
  let handler: RecordingHandler;

  beforeEach(async () => {
    handler = new RecordingHandler((served) => void served.done.then(() => served.reply(200, [], 'ok')));
    server = await serve(handler);
  });

  afterEach(() => server.close());

  test.each(refused)('refuses %s with %d and closes', async (_title, status, request) => {
    const answer = await rawExchange(server.port, request);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [A-Z][^\\r]+\\r\\n`));
    expect(answer).toContain('connection: close\r\n');
    expect(answer.split('HTTP/1.1')).toHaveLength(2);
    expect(handler.served).toHaveLength(0);
  });

  test.each(refused)('refuses %s with %d, byte by byte as well', async (_title, status, request) => {
    const connection = new MemoryConnection();
    createHttp1Server(connection, handler, { limits: limits(), clock: systemClock, scheme: 'http' });
    // Whole kilobytes of filler need not come one by one.
    for (const part of request.match(/x{1000}|./gs) ?? []) connection.receive(part);
    await turn();
    expect(connection.written).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(connection.ended).toBe(true);
    expect(handler.served).toHaveLength(0);
  });

  test.each(brokenBodies)('gives up a body with %s', async (_title, body) => {
    const answer = await rawExchange(server.port, `${chunkedHead}${body}${smuggled}`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(answer.split('HTTP/1.1')).toHaveLength(2);
    expect(handler.served).toHaveLength(1);
    expect(handler.served[0]).toMatchObject({ ended: false, reset: 'protocol' });
  });

  test('gives up trailers that are too long while they come, and does not wait for their end', async () => {
    const connection = new MemoryConnection();
    createHttp1Server(connection, handler, { limits: limits(), clock: systemClock, scheme: 'http' });
    connection.receive(`${chunkedHead}0\r\nx: ${'x'.repeat(50_000)}`);
    expect(handler.served[0].reset).toBeUndefined();
    connection.receive('x'.repeat(20_000));
    expect(handler.served[0]).toMatchObject({ ended: false, reset: 'protocol' });
  });

  test('takes names that mean something to JavaScript as plain names', async () => {
    const fields = ['__proto__', 'x', 'constructor', 'y', 'toString', 'z', 'hasownproperty', '1'];
    const lines = fields.map((each, i) => (i % 2 === 0 ? `${each}: ` : `${each}\r\n`)).join('');
    await rawExchange(server.port, `GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${lines}\r\n`);
    expect(handler.served[0].head.headers).toEqual(fields.map((each) => each.toLowerCase()));
  });

  test('accepts extensions as long as they do not outweigh the body', async () => {
    const chunk = `400;signature=${'f'.repeat(64)}\r\n${'x'.repeat(1024)}\r\n`;
    await rawExchange(
      server.port,
      `${chunkedHead.replace('a\r\n', 'a\r\nconnection: close\r\n')}${chunk.repeat(300)}0\r\n\r\n`,
      true,
    );
    expect(handler.served[0]).toMatchObject({ ended: true, reset: undefined });
    expect(handler.served[0].body).toHaveLength(300 * 1024);
  });
});

describe('A client', () => {
  test.each(brokenResponses)('gives up on %s', async (_title, response) => {
    const connection = new MemoryConnection();
    let retired = 0;
    const owner = { onCapacity() {}, onRetire: () => retired++ };
    const client = createHttp1Client(connection, owner, { limits: limits(), clock: systemClock });
    const fetched = new Fetched();
    client.request({ method: 'GET', scheme: 'http', authority: 'a', path: '/', headers: [] }, true, fetched);
    await turn();
    connection.receive(response);
    expect(fetched).toMatchObject({ reset: 'protocol', ended: false });
    expect(connection.destroyed).toBe(true);
    expect(retired).toBe(1);
    expect(client.capacity).toBe(0);
  });
});
