import { createServer as createHttpServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { AccessPolicy } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { startFlood } from './flood.ts';
import { closeAll, freePort, readAll, readUntil, send, startApp, startPairTo, startServer } from './mesh.ts';

afterEach(closeAll);

const denyAll: AccessPolicy = {
  policy: { kind: 'AccessPolicy', namespace: 'shop', name: 'nobody' },
  rules: [{ name: 'all', action: 'deny', from: [], to: [] }],
};

describe('a message through two sidecars', () => {
  it('keeps its trailers, both ways', async () => {
    const app = await startApp((request, response) => {
      request.resume();
      request.on('end', () => {
        response.writeHead(200, { trailer: 'x-sum' });
        response.write('counted');
        response.addTrailers({ 'x-sum': `${request.trailers['x-parts']}` });
        response.end();
      });
    });
    const { outbound } = await startPairTo(app);
    const socket = connect(outbound, '127.0.0.1');
    socket.write('POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n');
    socket.write('3\r\none\r\n0\r\nx-parts: 1\r\n\r\n');
    expect(await readAll(socket)).toMatch(/\r\n0\r\nx-sum: 1\r\n\r\n$/);
  });

  it('keeps trailers that follow no body, also while it waits for a connection', async () => {
    const app = await startApp((request, response) => {
      request.resume();
      request.on('end', () => response.end(`<${request.trailers['x-parts']}>`));
    });
    const { outbound } = await startPairTo(app);
    const socket = connect(outbound, '127.0.0.1');
    socket.write('POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n');
    socket.write('0\r\nx-parts: 0\r\n\r\n');
    expect(await readAll(socket)).toMatch(/<0>$/);
  });

  it('has the interim responses 100 and 103 delivered before the final one', async () => {
    const server = createHttpServer((_request, response) => response.end('never'));
    server.on('checkContinue', (request: IncomingMessage, response) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      response.writeContinue();
      request.resume();
      request.on('end', () => response.end('thanks'));
    });
    const { outbound } = await startPairTo(await startServer(server));
    const heard: string[] = [];
    const request = httpRequest({
      port: outbound,
      host: '127.0.0.1',
      method: 'POST',
      agent: false,
      headers: { expect: '100-continue', 'content-length': 4 },
    });
    request.on('information', ({ statusCode }) => statusCode !== 100 && heard.push(String(statusCode)));
    request.on('continue', () => {
      heard.push('continue');
      request.end('body');
    });
    request.flushHeaders();
    const status = await new Promise((resolve) =>
      request.on('response', (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode));
      }),
    );
    expect([...heard, status]).toEqual(['103', 'continue', 200]);
  });

  it('has no body where there can be none: HEAD, 204 and 304', async () => {
    const app = await startApp((request, response) => {
      const status = Number(request.url?.slice(1));
      if (status === 200)
        response.writeHead(200, { 'content-length': '5' }).end(request.method === 'HEAD' ? '' : 'hello');
      else response.writeHead(status, { etag: '"1"' }).end();
    });
    const { outbound } = await startPairTo(app);
    const head = await send(outbound, { method: 'HEAD', path: '/200' });
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '5', 0]);
    for (const status of [204, 304]) {
      const reply = await send(outbound, { path: `/${status}` });
      expect([reply.status, reply.headers.etag, reply.body.length]).toEqual([status, '"1"', 0]);
    }
    expect((await send(outbound, { path: '/200' })).body.toString()).toBe('hello');
  });

  it('is told of a refusal when it is a HEAD as well', async () => {
    const { outbound, client } = await startPairTo(await freePort(), { access: [denyAll] });
    expect((await send(outbound, { method: 'HEAD' })).status).toBe(403);
    const [refused] = await eventually(() => client.log.entries.length > 0 && client.log.entries);
    expect(refused).toEqual({ ...refused, status: 403, error: undefined });
  });

  it('needs no host from a client that speaks HTTP/1.0', async () => {
    const { outbound } = await startPairTo(await startApp((request, response) => response.end(request.headers.host)));
    const socket = connect(outbound, '127.0.0.1');
    socket.write('GET / HTTP/1.0\r\n\r\n');
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\nreviews\.shop:9080$/);
  });

  it('arrives once for each of many pipelined requests, in their order', async () => {
    const requests = 2000;
    const { outbound } = await startPairTo(await startApp((request, response) => response.end(`<${request.url}>`)));
    const socket = connect(outbound, '127.0.0.1');
    const all = readAll(socket);
    for (let each = 0; each < requests; each++) {
      const last = each === requests - 1 ? 'connection: close\r\n' : '';
      socket.write(`GET /${each} HTTP/1.1\r\nhost: a\r\n${last}\r\n`);
    }
    const seen = Array.from((await all).matchAll(/<\/(\d+)>/g), ([, number]) => Number(number));
    expect(seen).toEqual(Array.from({ length: requests }, (_, index) => index));
  });

  it('cannot smuggle a second one behind a body whose length is disputed', async () => {
    const heard: string[] = [];
    const { outbound } = await startPairTo(
      await startApp((request, response) => {
        heard.push(`${request.method} ${request.url}`);
        response.end();
      }),
    );
    for (const head of [
      'content-length: 0\r\ntransfer-encoding: chunked',
      'content-length: 0\r\ncontent-length: 30',
      'transfer-encoding: xchunked',
      'transfer-encoding : chunked',
    ]) {
      const socket = connect(outbound, '127.0.0.1');
      socket.write(`POST /first HTTP/1.1\r\nhost: a\r\n${head}\r\n\r\nGET /second HTTP/1.1\r\nhost: a\r\n\r\n`);
      await readAll(socket);
    }
    expect(heard.filter((each) => each.includes('second'))).toEqual([]);
  });
});

describe('a slow reader', () => {
  it('slows the application down: little is held between them', async () => {
    const flood = await startFlood('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n');
    const { outbound } = await startPairTo(flood.port);
    const socket = connect(outbound, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await readUntil(socket, '\r\n\r\n');
    socket.pause();
    // Buffers of five sockets in the kernel, and one window of the connection between the sidecars.
    expect(await flood.settled()).toBeLessThan(40_000_000);
    socket.destroy();
  });
});
