import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { BreakerLimits, HttpRule, Protocol, RouteCircuitBreaker } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { breaker, inUse, limited } from './circuit-breaking.ts';
import {
  closeAll,
  closeLater,
  createAuthority,
  freePort,
  policiesShown,
  type Reply,
  readUntil,
  send,
  startApp,
  startEcho,
  startPairTo,
  startProxy,
  svidOf,
} from './mesh.ts';
import { endpointsOf, forwardTo, service } from './resources.ts';

afterEach(closeAll);

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
