import type { IncomingMessage, ServerResponse } from 'node:http';
import { request as httpRequest } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { connect } from 'node:net';
import type { Duplex, Readable, Writable } from 'node:stream';
import type { HttpRule, Protocol, Service } from '../../runtime/model/index.ts';
import { bytesOf } from '../support/marked-bytes.ts';
import { acceptOf } from '../support/web-socket.ts';
import { createAuthority, freePort, startApp, startProxy, startRawApp, startServer, svidOf } from './mesh.ts';
import { endpointsOf, forwardTo, identityOf, service } from './resources.ts';

/** Compares what comes with what should: `wrong` tells of the first byte that is not its owner's. */
class Check {
  wrong: string | undefined;
  #at = 0;
  readonly #expected: Buffer;

  constructor(expected: Buffer) {
    this.#expected = expected;
  }

  get complete(): boolean {
    return this.#at === this.#expected.length;
  }

  take(chunk: Buffer): void {
    const expected = this.#expected.subarray(this.#at, this.#at + chunk.length);
    if (!chunk.equals(expected)) {
      const first = chunk.findIndex((byte, i) => byte !== expected[i]);
      const there = chunk.subarray(first, first + 16).toString('hex');
      this.wrong ??= `at ${this.#at + first}: ${there}, not ${expected.subarray(first, first + 16).toString('hex')}`;
    }
    this.#at += chunk.length;
  }
}

/** What an exchange is: all that it needs is in the path, so that the application knows it as well. */
interface Errand {
  readonly owner: number;
  readonly size: number;
  /** Milliseconds the reader waits before it reads. */
  readonly late: number;
  /** Bytes after which the client breaks off. */
  readonly breakAt: number;
}

/** Everything that was found wrong, on either side. */
interface Findings {
  readonly wrong: string[];
  whole: number;
  broken: number;
}

export const noFindings = (): Findings => ({ wrong: [], whole: 0, broken: 0 });

function watch(stream: Readable, check: Check, { late, breakAt }: Errand, findings: Findings, what: string) {
  const { promise, resolve } = Promise.withResolvers<void>();
  let seen = 0;
  const read = (): void => {
    stream.on('data', (chunk: Buffer) => {
      check.take(chunk);
      seen += chunk.length;
      if (check.wrong) findings.wrong.push(`${what} ${check.wrong}`);
      if (seen >= breakAt || check.wrong) stream.destroy();
    });
    stream.resume();
  };
  if (late > 0) setTimeout(read, late);
  else read();
  stream.on('error', () => {});
  stream.on('close', () => {
    if (check.complete) findings.whole++;
    else findings.broken++;
    resolve();
  });
  return promise;
}

/** An application that checks what it gets and answers with what its caller expects. */
function application(findings: Findings) {
  const tried = new Set<number>();
  return (request: IncomingMessage, response: ServerResponse): void => {
    const url = new URL(request.url!, 'http://app');
    const [owner, size] = [Number(url.searchParams.get('owner')), Number(url.searchParams.get('size'))];
    const way = url.pathname.slice(1);
    const sent = request.method === 'GET' ? Buffer.alloc(0) : bytesOf(owner, size);
    const check = new Check(sent);
    request.on('data', (chunk: Buffer) => {
      check.take(chunk);
      if (check.wrong) findings.wrong.push(`request ${owner} (${way}) ${check.wrong}`);
    });
    request.on('error', () => {});
    response.on('error', () => {});
    request.on('end', () => {
      if (!check.complete) findings.wrong.push(`request ${owner} (${way}) ended early`);
      if (way === 'again' && !tried.has(owner)) {
        tried.add(owner);
        response.writeHead(503).end();
      } else if (way === 'late' && !tried.has(owner)) {
        tried.add(owner);
        setTimeout(() => response.end(bytesOf(owner, size)), 100);
      } else if (way === 'cut') {
        response.writeHead(200).write(bytesOf(owner, size), () => response.destroy());
      } else {
        response.end(bytesOf(owner, size));
      }
    });
  };
}

const quiet = <T extends Duplex | Writable>(stream: T): T => stream.on('error', () => {}) as T;

function overHttp1(port: number, method: string, way: string, errand: Errand, findings: Findings) {
  const { owner, size } = errand;
  const path = `/${way}?owner=${owner}&size=${size}`;
  const { promise, resolve } = Promise.withResolvers<void>();
  const request = httpRequest({ host: '127.0.0.1', port, method, path, agent: false }, (response) => {
    const body = response.statusCode === 200 ? bytesOf(owner, size) : Buffer.alloc(0);
    if (response.statusCode !== 200) {
      findings.broken++;
      response.resume().on('close', resolve);
      return;
    }
    watch(response, new Check(body), errand, findings, `${method} ${way} ${owner}`).then(resolve);
  });
  request.on('error', () => {
    findings.broken++;
    resolve();
  });
  request.end(method === 'GET' ? undefined : bytesOf(owner, size));
  return promise;
}

/** Several exchanges on one connection. */
async function overHttp2(port: number, method: string, way: string, errands: Errand[], findings: Findings) {
  const session = connectHttp2(`http://127.0.0.1:${port}`).on('error', () => {});
  await Promise.all(
    errands.map((errand) => {
      const { owner, size } = errand;
      const stream = session.request({ ':method': method, ':path': `/${way}?owner=${owner}&size=${size}` });
      stream.end(method === 'GET' ? undefined : bytesOf(owner, size));
      const { promise, resolve } = Promise.withResolvers<void>();
      stream.on('error', () => {});
      stream.on('response', (head) => {
        if (head[':status'] !== 200) stream.close();
        else
          watch(stream, new Check(bytesOf(owner, size)), errand, findings, `${method} ${way} ${owner}`).then(resolve);
      });
      stream.on('close', resolve);
      return promise;
    }),
  );
  session.destroy();
}

/** Bytes there and back, through a stream of TCP or a tunnel that an upgrade opened. */
function overTunnel(port: number, upgrade: boolean, errand: Errand, findings: Findings): Promise<void> {
  const { owner, size } = errand;
  const bytes = bytesOf(owner, size);
  const socket = quiet(connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
  const check = new Check(bytes);
  if (!upgrade) {
    socket.end(bytes);
    return watch(socket, check, errand, findings, `TCP ${owner}`);
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.write(
    `GET /tunnel HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n${'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'}`,
  );
  let head = '';
  const onHead = (chunk: Buffer): void => {
    head += chunk.toString('latin1');
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    socket.off('data', onHead).pause();
    socket.unshift(Buffer.from(head.slice(end + 4), 'latin1'));
    watch(socket, check, errand, findings, `tunnel ${owner}`).then(resolve);
    socket.end(bytes);
  };
  socket.on('data', onHead);
  return promise;
}

/** Gives back every byte, of a connection or of a tunnel. */
const echo = (socket: Duplex): void => void socket.pipe(socket);

/** As {@link application}, over HTTP/2 in plain text. */
function startHttp2Application(findings: Findings): Promise<number> {
  const server = createHttp2Server({ maxSessionMemory: 1000 }, (request, response) =>
    application(findings)(request as unknown as IncomingMessage, response as unknown as ServerResponse),
  );
  server.on('session', (session) => session.on('error', () => {}));
  return startServer(server);
}

/** Accepts every upgrade, and gives back what comes then. */
const startTunnels = (): Promise<number> =>
  startRawApp((socket) => {
    let head = '';
    const onHead = (chunk: Buffer): void => {
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      socket.off('data', onHead).pause();
      const accept = acceptOf(/sec-websocket-key: (\S+)/i.exec(head)![1]);
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
      );
      socket.unshift(Buffer.from(head.slice(end + 4), 'latin1'));
      echo(socket);
    };
    socket.on('data', onHead);
  });

/** `web` calls the application through its own sidecar and one of two at the other end. */
async function startMesh(app: number, protocol: Protocol, rules: readonly HttpRule[] = [], copies?: number) {
  const authority = await createAuthority();
  const replicas: number[] = [];
  for (let i = 0; i < 2; i++) {
    const inbound = await freePort();
    await startProxy({
      serviceAccount: 'reviews',
      svid: await svidOf(authority, 'reviews'),
      ports: [{ port: 9080, protocol }],
      bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 9080, app: `127.0.0.1:${app}` }] },
    });
    replicas.push(inbound);
  }
  const outbound = await freePort();
  const reviews = service('reviews', 9080, protocol, rules) as Service;
  const unlimited = { percent: 100, interval: 10_000, minRetryRate: { count: 100_000, interval: 1000 } };
  await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(authority, 'web'),
    resources: [
      { ...reviews, retryBudget: unlimited },
      endpointsOf(
        'reviews',
        9080,
        replicas.map((port) => ({ port, identity: identityOf('reviews') })),
      ),
      ...(copies ? [service('copies', 9080, 'http'), endpointsOf('copies', 9080, [{ port: copies }])] : []),
    ],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] } },
  });
  return outbound;
}

/** What one round of callers does, all at the same time. */
export async function startStrangers(findings: Findings) {
  const copied = { count: 0 };
  const check = application(findings);
  const copies = await startApp((request, response) => {
    copied.count++;
    check(request, response);
  });
  const rule = forwardTo('shop/reviews', 9080, {
    mirrors: [{ target: { service: 'shop/copies', port: 9080 }, percent: 100 }],
    retry: { attempts: 2, codes: [503], backoff: 0 },
    hedging: { delay: 30 },
  });
  const [http1, http2, tcp, tunnels] = await Promise.all([
    startApp(application(findings)).then((app) => startMesh(app, 'http', [rule], copies)),
    startHttp2Application(findings).then((app) => startMesh(app, 'http2')),
    startRawApp(echo).then((app) => startMesh(app, 'tcp')),
    startTunnels().then((app) => startMesh(app, 'http')),
  ]);
  let owner = 1;
  const round = async (random: () => number, callers: number): Promise<void> => {
    const pick = <T>(...items: readonly T[]): T => items[Math.floor(random() * items.length)];
    const errand = (): Errand => {
      const largest = pick(100, 9000, 40_000, 300_000, 2_000_000);
      const size = 1 + Math.floor(random() * largest);
      return {
        owner: owner++,
        size,
        late: random() < 0.2 ? random() * 300 : 0,
        breakAt: random() < 0.2 ? random() * size : Number.POSITIVE_INFINITY,
      };
    };
    const several = () => Array.from({ length: 8 }, errand);
    const method = () => pick('GET', 'POST', 'PUT');
    const ways = [
      () => overHttp1(http1, method(), pick('echo', 'cut'), errand(), findings),
      () => overHttp1(http1, 'PUT', pick('again', 'late'), errand(), findings),
      () => overHttp2(http2, method(), pick('echo', 'cut'), several(), findings),
      () => overTunnel(tcp, false, errand(), findings),
      () => overTunnel(tunnels, true, errand(), findings),
      () => inPieces(http1, errand(), findings),
    ];
    await Promise.all(Array.from({ length: callers }, (_, i) => ways[i % ways.length]()));
  };
  return { round, copied };
}

/** A head that arrives in many reads, between which others read. */
async function inPieces(port: number, { owner }: Errand, findings: Findings): Promise<void> {
  const socket = quiet(connect({ port, host: '127.0.0.1' }).setNoDelay());
  const size = 1000;
  const head = `GET /echo?owner=${owner}&size=${size} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-owner: ${owner}\r\n\r\n`;
  const answer: Buffer[] = [];
  const closed = new Promise((resolve) => socket.on('data', (chunk) => answer.push(chunk)).on('close', resolve));
  for (let at = 0; at < head.length; at += 20) {
    socket.write(head.slice(at, at + 20));
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  await closed;
  const whole = Buffer.concat(answer);
  if (whole.subarray(-size).equals(bytesOf(owner, size))) findings.whole++;
  else
    findings.wrong.push(`a head in pieces of ${owner} was answered with ${whole.subarray(0, 200).toString('latin1')}`);
}
