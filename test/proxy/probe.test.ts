import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createGrpcServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../../runtime/model/index.ts';
import { defaultHttpLimits, type HeaderList } from '../../runtime/net/index.ts';
import { serveAdmin } from '../../runtime/proxy/admin.ts';
import type { Probe } from '../../runtime/proxy/bootstrap.ts';
import { type ProbeResult, RunningProbe } from '../../runtime/proxy/probe.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { selfSigned } from '../support/self-signed.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { closeAll, closeLater, freePort, readAll, readUntil, send, startServer } from './mesh.ts';

afterEach(closeAll);

const limits = defaultHttpLimits;
const second = 1_000;

const httpApp = (serve: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> =>
  startServer(createHttpServer(serve));

/** What the kubelet is told of a probe. */
function outcome(target: Probe, caller: HeaderList = []): Promise<ProbeResult> {
  const options = { host: '127.0.0.1', clock: systemClock, limits };
  return new Promise((resolve) => void new RunningProbe(target, caller, options, resolve));
}

const http = (port: number, more: Partial<Probe> = {}): Probe => ({ kind: 'http', port, timeoutMs: second, ...more });

describe('an HTTP probe', () => {
  it.each([200, 204, 302, 399])('takes %d for healthy', async (status) => {
    const port = await httpApp((_request, response) => response.writeHead(status).end());
    expect(await outcome(http(port))).toEqual({ status: 200, words: 'healthy' });
  });

  it.each([400, 404, 500, 503])('passes %d on, with what the application says', async (status) => {
    const port = await httpApp((_request, response) => response.writeHead(status).end('the database is away'));
    expect(await outcome(http(port))).toEqual({ status, words: 'the database is away' });
  });

  it('sends the path, the header fields and the host it is told to, and says who asks', async () => {
    const seen: unknown[] = [];
    const port = await httpApp(({ method, url, headers }, response) => {
      seen.push(method, url, headers.host, headers['x-probe'], headers['user-agent'], headers.accept);
      response.end();
    });
    const headers: Probe['headers'] = [
      ['X-Probe', 'yes'],
      ['Host', 'shop.example'],
      ['Accept', 'text/plain'],
    ];
    await outcome(http(port, { path: 'health?full=1', headers }), ['user-agent', 'kube-probe/1.36', 'accept', '*/*']);
    expect(seen).toEqual(['GET', '/health?full=1', 'shop.example', 'yes', 'kube-probe/1.36', 'text/plain']);
  });

  it('follows redirects to the same host, and to no other', async () => {
    const port = await httpApp(({ url }, response) => {
      if (url === '/') response.writeHead(301, { location: '/health/' }).end();
      else if (url === '/health/') response.writeHead(500).end('sick');
      else if (url === '/away') response.writeHead(302, { location: 'http://elsewhere.example/' }).end();
      else response.writeHead(302, { location: '/round' }).end();
    });
    expect(await outcome(http(port))).toEqual({ status: 500, words: 'sick' });
    expect(await outcome(http(port, { path: '/away' }))).toEqual({ status: 200, words: 'healthy' });
    expect(await outcome(http(port, { path: '/round' }))).toEqual({ status: 503, words: 'more than 10 redirects' });
  });

  it('reads no more of an answer than the kubelet would', async () => {
    const port = await httpApp((_request, response) => {
      response.writeHead(500);
      response.write('x'.repeat(20_000));
      // It would go on for ever.
    });
    const { status, words } = await outcome(http(port));
    expect([status, words.length]).toEqual([500, 10_240]);
  });

  it('believes any certificate', async () => {
    using directory = new TemporaryDirectory();
    const { key, certificate } = selfSigned(directory.path);
    const server = createHttpsServer({ key, cert: certificate });
    server.on('request', (_request, response) => response.end('ok'));
    const port = await startServer(server);
    expect(await outcome(http(port, { scheme: 'HTTPS' }))).toEqual({ status: 200, words: 'healthy' });
    expect((await outcome(http(port))).status).not.toBe(200);
  });

  it.each([[{}], [{ scheme: 'HTTPS' as const }]])('tells that nobody listens (%j)', async (more) => {
    const { status, words } = await outcome(http(await freePort(), more));
    expect(status).toBe(503);
    expect(words).toContain('ECONNREFUSED');
  });

  it.each([
    ['http', {}],
    ['http', { scheme: 'HTTPS' }],
    ['grpc', {}],
  ] as const)('ends after its time and closes its connection (%s %j)', async (kind, more) => {
    const clock = new ManualClock();
    let open = 0;
    const server = createServer((socket) => {
      open++;
      socket.on('error', () => {}).on('close', () => open--);
      socket.resume();
    });
    const port = await startServer(server);
    const target: Probe = { kind, port, timeoutMs: second, ...more };
    const result = new Promise((resolve) => {
      void new RunningProbe(target, [], { host: '127.0.0.1', clock, limits }, resolve);
    });
    await eventually(() => open === 1);
    clock.advance(second);
    expect(await result).toEqual({ status: 503, words: `no answer from port ${port} within 1000 ms` });
    await eventually(() => open === 0);
  });
});

describe('a TCP probe', () => {
  it('is content with a connection', async () => {
    const port = await startServer(createServer((socket) => void socket.on('error', () => {}).resume()));
    expect(await outcome({ kind: 'tcp', port, timeoutMs: second })).toEqual({ status: 200, words: 'healthy' });
    expect((await outcome({ kind: 'tcp', port: await freePort(), timeoutMs: second })).words).toContain('ECONNREFUSED');
  });
});

/** A server of grpc.health.v1 by Node's own HTTP/2; `answer` gives the message and the trailers for a service. */
async function healthServer(answer: (service: string) => { message?: number[]; status?: number; words?: string }) {
  const server = createGrpcServer();
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const request = Buffer.concat(chunks);
      expect([headers[':path'], headers['content-type'], headers.te]).toEqual([
        '/grpc.health.v1.Health/Check',
        'application/grpc',
        'trailers',
      ]);
      expect(request.readUInt32BE(1)).toBe(request.length - 5);
      // A length of two bytes where the name is long.
      const service = request.subarray(request.length > 7 + 127 ? 8 : 7).toString();
      const { message, status = 0, words } = answer(service);
      const trailers = { 'grpc-status': String(status), ...(words && { 'grpc-message': words }) };
      const head = { ':status': 200, 'content-type': 'application/grpc' };
      if (!message) {
        stream.respond({ ...head, ...trailers }, { endStream: true });
        return;
      }
      stream.respond(head, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers(trailers));
      stream.end(Buffer.from([0, 0, 0, 0, message.length, ...message]));
    });
  });
  return startServer(server);
}

describe('a gRPC probe', () => {
  const long = 'a'.repeat(200);
  it.each([
    ['', { message: [8, 1] }, 200, 'healthy'],
    ['reviews', { message: [8, 1] }, 200, 'healthy'],
    [long, { message: [8, 1] }, 200, 'healthy'],
    ['reviews', { message: [8, 2] }, 503, 'the service is NOT_SERVING'],
    ['reviews', { message: [] }, 503, 'the service is UNKNOWN'],
    [
      'reviews',
      { status: 5, words: 'never heard of' },
      503,
      'the health check ended with gRPC status 5 never heard of',
    ],
    ['reviews', { status: 5, words: 'g%C3%A4be es' }, 503, 'the health check ended with gRPC status 5 gäbe es'],
    ['reviews', { status: 12 }, 503, 'the health check ended with gRPC status 12'],
  ])('of %j, answered with %j, is %d: %s', async (service, answer, status, words) => {
    const asked: string[] = [];
    const port = await healthServer((name) => {
      asked.push(name);
      return answer;
    });
    expect(await outcome({ kind: 'grpc', port, service, timeoutMs: second })).toEqual({ status, words });
    expect(asked).toEqual([service]);
  });

  it('finds an application that speaks no HTTP/2 unhealthy', async () => {
    const port = await httpApp((_request, response) => response.end());
    expect((await outcome({ kind: 'grpc', port, timeoutMs: second })).status).toBe(503);
  });
});

describe('the admin port', () => {
  async function startAdmin(probes: Record<string, Probe>) {
    const port = await freePort();
    const options = { clock: systemClock, limits };
    const probeOptions = { host: '127.0.0.1', ...options };
    const admin = await serveAdmin(
      `127.0.0.1:${port}`,
      {
        notReady: () => undefined,
        metrics: () => 'metrics',
        config: () => ({}),
        quit: () => {},
        probe: (name, caller, finished) =>
          probes[name] && new RunningProbe(probes[name], caller, probeOptions, finished),
      },
      options,
    );
    closeLater(() => admin.close());
    return port;
  }

  it('makes the probe that a path names', async () => {
    const app = await httpApp(({ url }, response) => response.writeHead(url === '/well' ? 200 : 500).end('so so'));
    const probes = { 'app/liveness': http(app, { path: '/well' }), 'app/readiness': http(app) };
    const port = await startAdmin(probes);
    const ask = async (path: string) => {
      const { status, body } = await send(port, { path });
      return `${status} ${body}`;
    };
    expect(await ask('/probe/app/liveness')).toBe('200 healthy\n');
    expect(await ask('/probe/app/readiness?x')).toBe('500 so so\n');
    expect(await ask('/probe/app/startup')).toBe('404 there is no probe app/startup\n');
    expect((await send(port, { method: 'POST', path: '/probe/app/liveness' })).status).toBe(404);
  });

  it('gives up a probe that nobody waits for any more', async () => {
    const sockets: { readonly closed: boolean }[] = [];
    const app = await startServer(createServer((socket) => void sockets.push(socket.on('error', () => {}).resume())));
    const port = await startAdmin({ slow: http(app, { timeoutMs: 600_000 }) });
    const kubelet = connect(port, '127.0.0.1');
    kubelet.write('GET /probe/slow HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
    await eventually(() => sockets.length === 1);
    kubelet.resetAndDestroy();
    await eventually(() => sockets[0].closed);
  });

  it('answers one caller after the other on one connection', async () => {
    const app = await httpApp((_request, response) => response.end());
    const port = await startAdmin({ quick: http(app) });
    const kubelet = connect(port, '127.0.0.1');
    kubelet.write('GET /probe/quick HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\nGET /live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
    await readUntil(kubelet, 'live\n');
    kubelet.end();
    await readAll(kubelet);
  });
});
