import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type {
  BreakerLimits,
  CircuitBreaker,
  HttpRule,
  Protocol,
  RouteCircuitBreaker,
  Service,
} from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import {
  closeAll,
  closeLater,
  createAuthority,
  freePort,
  policiesShown,
  type Reply,
  type RunningProxy,
  readUntil,
  send,
  startApp,
  startEcho,
  startPairTo,
  startProxy,
  startServer,
  svidOf,
} from './mesh.ts';
import { endpointsOf, forwardTo, service } from './resources.ts';

afterEach(closeAll);

const breaker = (limits: BreakerLimits): CircuitBreaker => ({
  policy: { kind: 'CircuitBreakerPolicy', namespace: 'shop', name: 'limits' },
  limits,
});

function limited(of: Service, limits: BreakerLimits): Service {
  return { ...of, ports: of.ports.map((port) => ({ ...port, circuitBreaker: breaker(limits) })) };
}

/** An application that answers when it is told to. */
function startHolding() {
  const held: ServerResponse[] = [];
  const connections = new Set<Socket>();
  const app = startApp((request, response) => {
    connections.add(request.socket);
    held.push(response);
  });
  return {
    app,
    held,
    connections,
    /** Answers the oldest request. */
    release: () => held.shift()!.end('done'),
  };
}

/** What is under way, by target and limit: `{ 'shop/reviews:9080 requests': 1 }`. */
function inUse({ proxy }: RunningProxy): Record<string, number> {
  return Object.fromEntries(
    proxy.state.circuitBreakers.flatMap(({ target, limits }) =>
      limits.map(({ limit, inUse: count }) => [`${target} ${limit}`, count] as const),
    ),
  );
}

async function startLimited(limits: BreakerLimits, options: { protocol?: Protocol; rules?: HttpRule[] } = {}) {
  const { protocol = 'http', rules = [] } = options;
  const holding = startHolding();
  const pair = await startPairTo(await holding.app, { protocol, rules });
  const reviews = service('reviews', 9080, protocol, rules);
  const configure = (next: BreakerLimits) =>
    expect(pair.client.proxy.apply([limited(reviews, next)], 'service', [])).toEqual([]);
  configure(limits);
  return { ...pair, ...holding, configure };
}

/** `web` calls an application that has no sidecar of its own. */
async function startPlain(appPort: number, protocol: 'http' | 'tcp', limits: BreakerLimits) {
  const outbound = await freePort();
  const client = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(await createAuthority(), 'web'),
    resources: [limited(service('reviews', 9080, protocol), limits), endpointsOf('reviews', 9080, [{ port: appPort }])],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] } },
  });
  return { client, outbound };
}

const statuses = async (replies: readonly Promise<Reply>[]) => (await Promise.all(replies)).map(({ status }) => status);

describe('a circuit breaker', () => {
  it('answers 503 what is beyond the requests under way, and lets others through when one ends', async () => {
    const { outbound, client, held, release } = await startLimited({ requests: 2 });
    const first = [send(outbound), send(outbound)];
    await eventually(() => held.length === 2);
    const { status, headers, body } = await send(outbound);
    const reason = 'shop/reviews:9080 has 2 requests under way; CircuitBreakerPolicy shop/limits allows 2';
    expect([status, String(body)]).toEqual([503, `${reason}\n`]);
    expect(headers['proxy-status']).toBe(`meshwright; error=connection_limit_reached; details="${reason}"`);
    expect(held).toHaveLength(2);
    expect(client.log.entries).toMatchObject([{ status: 503, response_flags: 'UO', error: reason }]);
    expect(client.log.entries[0].upstream).toBeUndefined();
    expect(client.metrics.registry.expose().split('\n')).toEqual(
      expect.arrayContaining([
        'meshwright_circuit_breaker_refused_total{source="shop/web",service="shop/reviews",target="shop/reviews",policy="CircuitBreakerPolicy shop/limits",limit="requests"} 1',
        'meshwright_circuit_breaker_in_use{target="shop/reviews:9080",policy="CircuitBreakerPolicy shop/limits",limit="requests"} 2',
        'meshwright_circuit_breaker_open{target="shop/reviews:9080",policy="CircuitBreakerPolicy shop/limits",limit="requests"} 1',
      ]),
    );
    const policy = 'CircuitBreakerPolicy shop/limits';
    expect(policiesShown(client).circuitBreakers).toEqual([
      { policy, limit: 'requests', open: ['shop/reviews:9080'], proxies: 1, refused: 0 },
    ]);
    release();
    await eventually(() => inUse(client)['shop/reviews:9080 requests'] === 1);
    expect(policiesShown(client).circuitBreakers).toEqual([]);
    const another = send(outbound);
    await eventually(() => held.length === 2);
    release();
    release();
    expect(await statuses([...first, another])).toEqual([200, 200, 200]);
    expect(inUse(client)).toEqual({ 'shop/reviews:9080 requests': 0 });
  });

  it('counts on while its limits change, and is forgotten with its policy', async () => {
    const { outbound, client, held, release, configure } = await startLimited({ requests: 1 });
    const replies = [send(outbound)];
    await eventually(() => held.length === 1);
    configure({ requests: 2 });
    replies.push(send(outbound));
    await eventually(() => held.length === 2);
    expect((await send(outbound)).status).toBe(503);
    client.proxy.apply([service('reviews', 9080, 'http')], 'service', []);
    replies.push(send(outbound));
    await eventually(() => held.length === 3);
    expect(client.proxy.state.circuitBreakers).toEqual([]);
    expect(client.metrics.registry.expose()).not.toContain('circuit_breaker_in_use{');
    for (const _ of replies) release();
    expect(await statuses(replies)).toEqual([200, 200, 200]);
    configure({ requests: 1 });
    expect(inUse(client)).toEqual({ 'shop/reviews:9080 requests': 0 });
  });

  it('is not tried again', async () => {
    const rules = [forwardTo('shop/reviews', 9080, { retry: { attempts: 3, codes: [503], backoff: 0 } })];
    const { outbound, client, held, release } = await startLimited({ requests: 1 }, { rules });
    const first = send(outbound);
    await eventually(() => held.length === 1);
    expect((await send(outbound)).status).toBe(503);
    expect(client.log.entries[0].retries).toBeUndefined();
    release();
    expect((await first).status).toBe(200);
  });

  it('tells callers by gRPC that the service is unavailable', async () => {
    const { outbound, held, release } = await startLimited({ requests: 1 });
    const first = send(outbound);
    await eventually(() => held.length === 1);
    const call = { method: 'POST', path: '/a.B/C', headers: { 'content-type': 'application/grpc' }, body: 'call' };
    const { status, headers } = await send(outbound, call);
    expect([status, headers['grpc-status']]).toEqual([200, '14']);
    expect(headers['grpc-message']).toContain('CircuitBreakerPolicy shop/limits allows 1');
    release();
    await first;
  });

  it('limits a rule, or a route, wherever its requests go, and nothing else', async () => {
    const ofRule: RouteCircuitBreaker = { ...breaker({ requests: 1 }) };
    const ofRoute: RouteCircuitBreaker = { ...breaker({ requests: 2 }), wholeRoute: true };
    const at = (path: string, more: Partial<HttpRule>) =>
      forwardTo('shop/reviews', 9080, {
        name: path.slice(1),
        matches: [{ path: { kind: 'prefix', value: path }, headers: [], query: [] }],
        ...more,
      });
    const free = { kind: 'HTTPRoute', namespace: 'shop', name: 'free' };
    const rules = [
      at('/slow', { circuitBreakers: [ofRoute, ofRule] }),
      at('/fast', { circuitBreakers: [ofRoute] }),
      at('/free', { route: free }),
    ];
    const holding = startHolding();
    const { outbound, client } = await startPairTo(await holding.app, { rules });
    const replies = [send(outbound, { path: '/slow' })];
    await eventually(() => holding.held.length === 1);
    expect((await send(outbound, { path: '/slow' })).status).toBe(503);
    replies.push(send(outbound, { path: '/fast' }));
    await eventually(() => holding.held.length === 2);
    expect(inUse(client)).toEqual({ 'HTTPRoute shop/route requests': 2, 'HTTPRoute shop/route slow requests': 1 });
    const { body } = await send(outbound, { path: '/fast' });
    expect(String(body)).toContain('HTTPRoute shop/route has 2 requests under way');
    replies.push(send(outbound, { path: '/free' }));
    await eventually(() => holding.held.length === 3);
    for (const _ of replies) holding.release();
    expect(await statuses(replies)).toEqual([200, 200, 200]);
    expect(Object.values(inUse(client))).toEqual([0, 0]);
  });

  it('keeps to so many connections, has so many wait for one, and refuses the others', async () => {
    const { app, held, connections, release } = startHolding();
    const { client, outbound } = await startPlain(await app, 'http', { connections: 2, pending: 1 });
    const replies = [send(outbound)];
    await eventually(() => held.length === 1);
    replies.push(send(outbound));
    await eventually(() => held.length === 2);
    replies.push(send(outbound));
    await eventually(() => inUse(client)['shop/reviews:9080 pending'] === 1);
    expect(inUse(client)).toEqual({ 'shop/reviews:9080 connections': 2, 'shop/reviews:9080 pending': 1 });
    const { status, body } = await send(outbound);
    expect([status, String(body)]).toEqual([
      503,
      'shop/reviews:9080 has 1 requests waiting for a connection; CircuitBreakerPolicy shop/limits allows 1\n',
    ]);
    expect(client.log.entries[0]).toMatchObject({ response_flags: 'UO' });
    for (let answered = 0; answered < 3; answered++) {
      await eventually(() => held.length > 0);
      release();
    }
    expect(await statuses(replies)).toEqual([200, 200, 200]);
    expect(connections.size).toBe(2);
    expect(inUse(client)['shop/reviews:9080 pending']).toBe(0);
  });

  it('closes TCP streams beyond the connections, and lets others through when one closes', async () => {
    const { client, outbound } = await startPlain(await startEcho('hello\n'), 'tcp', { connections: 1 });
    const open = () => {
      const socket = connect(outbound, '127.0.0.1').on('error', () => {});
      closeLater(() => void socket.destroy());
      return socket;
    };
    const first = open();
    await readUntil(first, 'hello\n');
    await expect(readUntil(open(), 'hello\n')).rejects.toThrow('closed after ""');
    expect(client.metrics.registry.expose()).toContain(
      'policy="CircuitBreakerPolicy shop/limits",limit="connections"} 1',
    );
    first.destroy();
    await eventually(() => inUse(client)['shop/reviews:9080 connections'] === 0);
    await readUntil(open(), 'hello\n');
  });
});

/** Answers as the path says, or not at all. */
async function startMoody(): Promise<number> {
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const { url = '' } = request;
    if (url.startsWith('/break')) request.socket.destroy();
    else if (url.startsWith('/half')) {
      response.writeHead(200, { 'content-length': '10' }).write('half');
      setImmediate(() => request.socket.destroy());
    } else if (url.startsWith('/fail')) response.writeHead(503).end();
    else if (url.startsWith('/race')) setTimeout(() => response.end('at last'), 60);
    else if (url.startsWith('/early')) response.end('early');
    else if (url.startsWith('/begin')) response.writeHead(200).write('begun');
    else if (!url.startsWith('/hold')) response.end('fine');
  };
  const server = createServer(answer);
  server.on('upgrade', ({ url }, socket) => {
    socket.on('error', () => {});
    if (url === '/fail') {
      socket.end('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n');
    if (url === '/bye') socket.end('bye');
    else socket.pipe(socket);
  });
  return startServer(server);
}

interface Ending {
  readonly outbound: number;
  readonly client: RunningProxy;
  /** Whether something is counted now. */
  readonly busy: () => boolean;
}

/** Sends raw HTTP/1.1, and gives the connection up when something is under way and `wanted` was said. */
async function giveUp({ outbound, busy }: Ending, head: string, wanted = ''): Promise<void> {
  const socket = connect(outbound, '127.0.0.1');
  closeLater(() => void socket.destroy());
  socket.on('error', () => {});
  socket.write(head);
  if (wanted) await readUntil(socket, wanted);
  await eventually(busy);
  socket.resetAndDestroy();
}

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nhost: reviews\r\n${more}\r\n`;

const endings: readonly [string, (ending: Ending) => Promise<unknown>][] = [
  ['is answered', ({ outbound }) => send(outbound)],
  ['is answered with a failure, try after try', ({ outbound }) => send(outbound, { path: '/fail' })],
  ['is reset before an answer, try after try', ({ outbound }) => send(outbound, { path: '/break' })],
  ['is broken off in its answer', ({ outbound }) => send(outbound, { path: '/half' }).catch(() => {})],
  ['takes longer than its rule allows', ({ outbound }) => send(outbound, { path: '/hold/limited' })],
  ['has tries that take too long', ({ outbound }) => send(outbound, { path: '/hold/tries' })],
  [
    'is answered before all of it is there',
    (ending) =>
      giveUp(
        { ...ending, busy: () => true },
        'POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nsome',
        'early',
      ),
  ],
  ['is given up by its caller', (ending) => giveUp(ending, get('/hold'))],
  ['is given up by its caller in the answer', (ending) => giveUp(ending, get('/begin'), 'begun')],
  [
    'becomes a tunnel that its application closes',
    (ending) => giveUp({ ...ending, busy: () => true }, get('/bye', 'connection: upgrade\r\nupgrade: echo\r\n'), 'bye'),
  ],
  [
    'becomes a tunnel that its caller closes',
    (ending) => giveUp(ending, get('/chat', 'connection: upgrade\r\nupgrade: echo\r\n'), '101'),
  ],
  [
    'asks for an upgrade that is refused',
    (ending) =>
      giveUp({ ...ending, busy: () => true }, get('/fail', 'connection: upgrade\r\nupgrade: echo\r\n'), '503'),
  ],
  ['finds no connection', ({ outbound }) => send(outbound, { path: '/gone' })],
  ['is tried twice at a time, until one answers', ({ outbound }) => send(outbound, { path: '/race' })],
  ['is tried twice at a time, until it takes too long', ({ outbound }) => send(outbound, { path: '/hold/race' })],
  ['is tried twice at a time, until its caller gives up', (ending) => giveUp(ending, get('/hold/patient-race'))],
  ['is copied, and the copy is answered', ({ outbound }) => send(outbound, { path: '/copied' })],
  ['is copied to where nobody is', ({ outbound }) => send(outbound, { path: '/copied/lost' })],
  ['is copied to what breaks', ({ outbound }) => send(outbound, { path: '/break/copied' })],
];

describe('a breaker counts nothing any more when a request', () => {
  it.each(endings)('%s', async (_how, run) => {
    const most = { requests: 100, pending: 100, connections: 100 };
    const at = (path: string, more: Partial<HttpRule> = {}, to = 'reviews') =>
      forwardTo(`shop/${to}`, 9080, {
        name: path.slice(1) || 'rest',
        matches: [{ path: { kind: 'prefix', value: path }, headers: [], query: [] }],
        circuitBreakers: [breaker({ requests: 100, pending: 100 })],
        retry: { attempts: 2, codes: [503], backoff: 1 },
        ...more,
      });
    const copy = (to: string) => ({ mirrors: [{ target: { service: `shop/${to}`, port: 9080 }, percent: 100 }] });
    const race = { hedging: { delay: 5 } };
    const rules = [
      at('/race', race, 'racers'),
      at('/hold/race', { ...race, timeouts: { request: 200 } }, 'racers'),
      at('/hold/patient-race', race, 'racers'),
      at('/hold/limited', { timeouts: { request: 40 } }),
      at('/hold/tries', { timeouts: { backendRequest: 20 } }),
      at('/copied/lost', copy('nowhere')),
      at('/copied', copy('copies')),
      at('/break/copied', copy('copies')),
      at('/gone', {}, 'nowhere'),
      at('/'),
    ];
    const moody = await startMoody();
    const { client, outbound } = await startPairTo(moody, { rules });
    const of = (name: string, ...ports: number[]) => {
      client.proxy.apply(
        [
          endpointsOf(
            name,
            9080,
            ports.map((port) => ({ port })),
          ),
        ],
        'endpoints',
        [],
      );
      client.proxy.apply([limited(service(name, 9080, 'http'), most)], 'service', []);
    };
    client.proxy.apply([limited(service('reviews', 9080, 'http', rules), most)], 'service', []);
    of('copies', moody);
    of('racers', moody, await startMoody());
    of('nowhere', await freePort());
    const counts = () => Object.entries(inUse(client)).filter(([name]) => !name.endsWith(' connections'));
    const seen: number[] = [];
    const begun = client.log.entries.length;

    await run({ outbound, client, busy: () => counts().some(([, count]) => count > 0) });
    await eventually(() => client.log.entries.length > begun);
    await eventually(() => {
      seen.push(...counts().map(([, count]) => count));
      return counts().every(([, count]) => count === 0);
    });
    expect(Math.min(...seen)).toBe(0);
    expect(counts().length).toBeGreaterThan(5);
  });
});
