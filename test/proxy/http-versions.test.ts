import { createServer as createHttp1Server, type IncomingMessage } from 'node:http';
import { createServer as createHttp2Server, type Http2ServerRequest } from 'node:http2';
import { connect, createServer as createTcpServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Protocol } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, type Caller, http1Caller, http2Caller } from './http-callers.ts';
import { closeAll, createAuthority, freePort, readUntil, startProxy, startServer, svidOf } from './mesh.ts';
import { endpointsOf, forwardTo, gatewayOf, identityOf, service } from './resources.ts';

/*
 * What a caller speaks and what the port that it calls declares are two matters: either version of HTTP reaches either
 * port, by whatever way a request can come. Callers and applications are Node's own.
 */

type Version = 'HTTP/1.1' | 'HTTP/2';
const versions: readonly Version[] = ['HTTP/1.1', 'HTTP/2'];
const ports: readonly [Protocol, Version][] = [
  ['http', 'HTTP/1.1'],
  ['http2', 'HTTP/2'],
  ['grpc', 'HTTP/2'],
];
const doors = ['outbound', 'proxy', 'CONNECT', 'gateway', 'plain inbound'] as const;
type Door = (typeof doors)[number];

type AppRequest = IncomingMessage | Http2ServerRequest;

/** As much of a response as both of Node's servers offer in the same words. */
interface AppResponse extends NodeJS.WritableStream {
  writeHead(status: number, headers?: Record<string, string>): unknown;
  writeEarlyHints(hints: Record<string, string>): unknown;
  addTrailers(trailers: Record<string, string>): void;
  destroy(error?: Error): unknown;
}

/** What an application heard, for its caller to see. */
interface Heard {
  readonly method: string;
  readonly host: string;
  readonly version: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly trailers: Record<string, string>;
}

const host = 'reviews.shop:9080';
const seen = { closed: 0 };
const large = 3_000_000;

async function serve(request: AppRequest, response: AppResponse): Promise<void> {
  request.on('error', () => {});
  response.on('error', () => {});
  response.on('close', () => seen.closed++);
  switch (request.url) {
    case '/echo':
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      request.pipe(response);
      return;
    case '/no-content':
      response.writeHead(204);
      response.end();
      return;
    case '/not-modified':
      response.writeHead(304, { etag: '"1"' });
      response.end();
      return;
    case '/length':
      response.writeHead(200, { 'content-length': '5' });
      response.end(request.method === 'HEAD' ? '' : 'hello');
      return;
    case '/hints':
      response.writeEarlyHints({ link: '</a.css>; rel=preload' });
      response.writeHead(200);
      response.end('hinted');
      return;
    case '/early':
      response.writeHead(413);
      response.end('too much');
      return;
    case '/broken':
      response.writeHead(200);
      response.write('the first half');
      setImmediate(() => response.destroy(new Error('broken')));
      return;
    case '/endless':
      response.writeHead(200);
      response.write('for ever');
      return;
    case '/call':
      request.resume();
      response.writeHead(200, { 'content-type': 'application/grpc' });
      response.addTrailers({ 'grpc-status': '0' });
      response.end('reply');
      return;
    default: {
      let body = '';
      for await (const chunk of request) body += chunk;
      const { method = '', headers, httpVersion, trailers } = request;
      const own = Object.entries(headers).filter(([name]) => !name.startsWith(':'));
      const host = headers.host ?? headers[':authority'];
      response.writeHead(200, { 'content-type': 'application/json' });
      response.addTrailers({ 'x-sum': '7' });
      response.end(
        JSON.stringify({ method, host, version: httpVersion, headers: Object.fromEntries(own), body, trailers }),
      );
    }
  }
}

async function startAppOf(version: Version): Promise<number> {
  const take = (request: AppRequest, response: AppResponse) => void serve(request, response).catch(() => {});
  return startServer(version === 'HTTP/2' ? createHttp2Server(take) : createHttp1Server(take));
}

/** `web` and a gateway call `reviews`, which takes plain text as well. */
async function startMesh(protocol: Protocol, version: Version): Promise<Record<Door, number>> {
  const authority = await createAuthority();
  const [inbound, outbound, proxy, listen] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const app = await startAppOf(version);
  await startProxy({
    serviceAccount: 'reviews',
    svid: await svidOf(authority, 'reviews'),
    ports: [{ port: 9080, protocol }],
    mtls: 'permissive',
    bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 9080, app: `127.0.0.1:${app}` }] },
  });
  const reviews = [
    service('reviews', 9080, protocol),
    endpointsOf('reviews', 9080, [{ port: inbound, identity: identityOf('reviews') }]),
  ];
  await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(authority, 'web'),
    resources: reviews,
    bootstrap: {
      outbound: {
        proxy: `127.0.0.1:${proxy}`,
        services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }],
      },
    },
  });
  await startProxy({
    serviceAccount: 'gateway',
    svid: await svidOf(authority, 'gateway'),
    gateway: 'shop/edge',
    resources: [...reviews, gatewayOf('edge', [forwardTo('shop/reviews', 9080)])],
    bootstrap: { gateway: [{ listen: `127.0.0.1:${listen}`, port: 80 }] },
  });
  return { outbound, proxy, CONNECT: await startTunnel(proxy), gateway: listen, 'plain inbound': inbound };
}

/** Passes each connection on through CONNECT. */
async function startTunnel(proxy: number): Promise<number> {
  const server = createTcpServer(async (socket) => {
    const tunnel = connect({ port: proxy, host: '127.0.0.1', noDelay: true });
    socket.on('error', () => {}).on('close', () => tunnel.resetAndDestroy());
    tunnel.on('error', () => {}).on('close', () => socket.destroy());
    tunnel.write(`CONNECT ${host} HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    await readUntil(tunnel, '\r\n\r\n');
    tunnel.removeAllListeners('data');
    socket.pipe(tunnel).pipe(socket);
  });
  return startServer(server);
}

const heardIn = (answer: Answer): Heard => JSON.parse(answer.body.toString());

describe.each(ports)('a port that declares %s', (protocol, appVersion) => {
  let mesh: Record<Door, number>;

  beforeAll(async () => {
    mesh = await startMesh(protocol, appVersion);
  });
  afterAll(closeAll);

  describe.each(doors)('by %s', (door) => {
    describe.each(versions)('called by %s', (version) => {
      let caller: Caller;

      beforeAll(() => {
        caller = version === 'HTTP/2' ? http2Caller(mesh[door], host) : http1Caller(mesh[door], host, door === 'proxy');
      });

      it('hears its own version of a request without a body', async () => {
        const answer = await caller.ask({ path: '/a' });
        expect(answer.status).toBe(200);
        const heard = heardIn(answer);
        expect(heard).toMatchObject({ method: 'GET', host, version: appVersion.slice(5).padEnd(3, '.0'), body: '' });
        expect(Object.keys(heard.headers)).not.toEqual(
          expect.arrayContaining([expect.stringMatching(/^(content-length|transfer-encoding|upgrade)$/)]),
        );
      });

      it('has a body with its length, an empty one too', async () => {
        const headers = { 'content-length': '5' };
        const answer = await caller.ask({ method: 'POST', body: 'hello', headers });
        expect(heardIn(answer)).toMatchObject({ body: 'hello', headers });
        const empty = await caller.ask({ method: 'POST', body: '', headers: { 'content-length': '0' } });
        expect(heardIn(empty)).toMatchObject({ body: '', headers: { 'content-length': '0' } });
      });

      it('exchanges large bodies of unknown length', async () => {
        const body = Buffer.alloc(large, 'meshwright');
        const headers: Record<string, string> = version === 'HTTP/1.1' ? { 'transfer-encoding': 'chunked' } : {};
        const answer = await caller.ask({ method: 'POST', path: '/echo', body, headers });
        expect(answer.status).toBe(200);
        expect(answer.body.equals(body)).toBe(true);
      });

      it('exchanges trailers, and hears that its caller takes them', async () => {
        const headers: Record<string, string> = version === 'HTTP/1.1' ? { connection: 'te' } : {};
        const question = { method: 'POST', body: 'a', headers: { te: 'trailers', ...headers } };
        const answer = await caller.ask({ ...question, trailers: { 'x-checksum': '8' } });
        expect(heardIn(answer)).toMatchObject({
          body: 'a',
          headers: { te: 'trailers' },
          trailers: { 'x-checksum': '8' },
        });
        expect(answer.trailers).toMatchObject({ 'x-sum': '7' });
      });

      it('carries a call of gRPC with its status', async () => {
        const headers = { 'content-type': 'application/grpc', te: 'trailers' };
        const answer = await caller.ask({ method: 'POST', path: '/call', body: 'ask', headers });
        expect([answer.status, answer.body.toString()]).toEqual([200, 'reply']);
        expect(answer.trailers).toMatchObject({ 'grpc-status': '0' });
      });

      it('hears cookies in one field', async () => {
        const cookie = version === 'HTTP/2' ? ['a=1', 'b=2'] : 'a=1; b=2';
        expect(heardIn(await caller.ask({ headers: { cookie } })).headers.cookie).toBe('a=1; b=2');
      });

      it('answers HEAD, 204 and 304 without a body', async () => {
        const head = await caller.ask({ method: 'HEAD', path: '/length' });
        expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '5', 0]);
        const whole = await caller.ask({ path: '/length' });
        expect([whole.headers['content-length'], whole.body.toString()]).toEqual(['5', 'hello']);
        const none = await caller.ask({ path: '/no-content' });
        expect([none.status, none.headers['content-length'], none.body.length]).toEqual([204, undefined, 0]);
        const same = await caller.ask({ path: '/not-modified' });
        expect([same.status, same.headers.etag, same.body.length]).toEqual([304, '"1"', 0]);
      });

      it('tells of interim responses', async () => {
        const answer = await caller.ask({ path: '/hints' });
        expect([answer.status, answer.interim, answer.body.toString()]).toEqual([200, [103], 'hinted']);
      });

      it('asks a caller who waits for 100 for the body', async () => {
        const headers = { expect: '100-continue' };
        const answer = await caller.ask({ method: 'POST', headers, body: 'asked for', waits: true });
        expect(heardIn(answer).body).toBe('asked for');
      });

      it('answers before the request has ended', async () => {
        const question = { method: 'POST', path: '/early', body: 'the first of much', unfinished: true };
        const answer = await caller.ask(question);
        expect([answer.status, answer.body.toString()]).toEqual([413, 'too much']);
        expect((await caller.ask({ path: '/length' })).status).toBe(200);
      });

      it('breaks off an answer, which its caller never takes for a whole one', async () => {
        await expect(caller.ask({ path: '/broken' })).rejects.toThrow();
        expect((await caller.ask({ path: '/length' })).status).toBe(200);
      });

      it('hears that its caller gave up', async () => {
        const giveUp = await caller.begin('/endless');
        const { closed } = seen;
        giveUp();
        await eventually(() => seen.closed > closed);
        expect((await caller.ask({ path: '/length' })).status).toBe(200);
      });
    });
  });
});
