import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, type ClientRequest, request as httpRequest } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { CircuitBreaker, HttpRule, OutlierDetection, Resource, RetryBudget } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { closeAll, createAuthority, freePort, send, startApp, startProxy, svidOf } from './mesh.ts';
import { forwardTo, identityOf, service } from './resources.ts';

afterEach(closeAll);

/** A request that has arrived at a replica, which has not answered it. */
interface Arrival {
  readonly replica: number;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: string;
  given(): boolean;
}

interface Options {
  readonly replicas?: number;
  readonly rule?: Partial<HttpRule>;
  readonly retryBudget?: RetryBudget;
  readonly circuitBreaker?: CircuitBreaker;
  readonly outlierDetection?: OutlierDetection;
}

/** `web` calls `reviews`, which has two replicas with a sidecar each, and says by hand when they answer. */
async function startReplicas(options: Options = {}) {
  const { replicas = 2, rule = {}, retryBudget, circuitBreaker, outlierDetection } = options;
  const authority = await createAuthority();
  const clock = new ManualClock();
  const arrivals: Arrival[] = [];
  const ports: number[] = [];
  for (let replica = 0; replica < replicas; replica++) {
    const app = await startApp((request, response) => {
      let body = '';
      let closed = false;
      response.on('close', () => {
        closed = !response.writableFinished;
      });
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => arrivals.push({ replica, request, response, body, given: () => closed }));
    });
    const inbound = await freePort();
    await startProxy({
      serviceAccount: 'reviews',
      svid: await svidOf(authority, 'reviews'),
      ports: [{ port: 9080, protocol: 'http' }],
      bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 9080, app: `127.0.0.1:${app}` }] },
    });
    ports.push(inbound);
  }
  const outbound = await freePort();
  const hedged = forwardTo('shop/reviews', 9080, { hedging: { delay: 100 }, ...rule });
  const plain = service('reviews', 9080, 'http', [hedged]);
  const reviews: Resource = {
    ...plain,
    ports: plain.ports.map((port) => ({
      ...port,
      ...(circuitBreaker && { circuitBreaker }),
      ...(outlierDetection && { outlierDetection }),
    })),
    ...(retryBudget && { retryBudget }),
  };
  const endpoints: Resource = {
    kind: 'endpoints',
    name: 'shop/reviews',
    endpoints: ports.map((port) => ({
      address: '127.0.0.1',
      ports: { 9080: port },
      identity: identityOf('reviews'),
    })),
  };
  const client = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(authority, 'web'),
    clock,
    resources: [reviews, endpoints],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] } },
  });
  const arrived = (count: number) => eventually(() => arrivals.length >= count && arrivals);
  const metric = (name: string) => new RegExp(`^${name}{.*} (\\d+)$`, 'm').exec(client.metrics.registry.expose())?.[1];
  return { outbound, clock, arrivals, arrived, client, metric, ports };
}

describe('a second try', () => {
  it('begins when the first is slow, at another replica; its answer counts and the first is given up', async () => {
    const { outbound, clock, arrived, client, metric, ports } = await startReplicas();
    const answer = send(outbound, { method: 'PUT', body: 'all of it' });
    const [first] = await arrived(1);
    clock.advance(100);
    const [, second] = await arrived(2);
    expect(second.replica).not.toBe(first.replica);
    expect([first.body, second.body]).toEqual(['all of it', 'all of it']);
    second.response.end('second');
    expect((await answer).body.toString()).toBe('second');
    await eventually(() => first.given());
    expect(metric('http_client_hedges_total')).toBe('1');
    expect(client.log.entries[0]).toMatchObject({
      status: 200,
      retries: 1,
      upstream: `127.0.0.1:${ports[second.replica]}`,
    });
    // Nothing is left of either: both replicas are chosen as before.
    const next = send(outbound);
    (await arrived(3))[2].response.end('next');
    expect((await next).body.toString()).toBe('next');
  });

  it('is given up when the first answers after all', async () => {
    const { outbound, clock, arrived } = await startReplicas();
    const answer = send(outbound);
    const [first] = await arrived(1);
    clock.advance(100);
    const [, second] = await arrived(2);
    first.response.end('first');
    expect((await answer).body.toString()).toBe('first');
    await eventually(() => second.given());
  });

  it('does not begin before its time, nor once the first has begun to answer', async () => {
    const { outbound, clock, arrived, arrivals, metric } = await startReplicas();
    const answer = send(outbound);
    const [first] = await arrived(1);
    clock.advance(99);
    first.response.write('be');
    const started = new Promise<void>((resolve) => setImmediate(resolve));
    await started;
    await eventually(() => first.response.headersSent);
    first.response.end('gun');
    expect((await answer).body.toString()).toBe('begun');
    clock.advance(10_000);
    expect(arrivals).toHaveLength(1);
    expect(metric('http_client_hedges_total')).toBeUndefined();
  });

  it.each([
    ['a POST', { method: 'POST', body: 'once' }, {}],
    ['where there is no other replica', {}, { replicas: 1 }],
    ['a request whose body is too long to keep', { method: 'PUT', body: 'x'.repeat(70_000) }, {}],
  ])('is not made of %s', async (_, asked, options) => {
    const { outbound, clock, arrived, arrivals, metric } = await startReplicas(options);
    const answer = send(outbound, asked);
    const [only] = await arrived(1);
    clock.advance(10_000);
    only.response.end('only');
    expect((await answer).body.toString()).toBe('only');
    expect(arrivals).toHaveLength(1);
    expect(metric('http_client_hedges_total')).toBeUndefined();
  });

  it('is not made beyond the budget of the target', async () => {
    const retryBudget = { percent: 0, interval: 1000, minRetryRate: { count: 1, interval: 3_600_000 } };
    const { outbound, clock, arrived, metric } = await startReplicas({ retryBudget });
    const one = send(outbound);
    await arrived(1);
    clock.advance(100);
    for (const { response } of await arrived(2)) response.end('one');
    expect((await one).status).toBe(200);
    const two = send(outbound);
    const [, , third] = await arrived(3);
    clock.advance(100);
    third.response.end('two');
    expect((await two).body.toString()).toBe('two');
    expect([metric('http_client_hedges_total'), metric('meshwright_retries_refused_total')]).toEqual(['1', '1']);
  });

  it('counts in the circuit breaker of the target while it lasts, and no longer', async () => {
    const policy = { kind: 'CircuitBreakerPolicy', namespace: 'shop', name: 'two' };
    const circuitBreaker = { policy, limits: { requests: 2, pending: 2 } };
    const { outbound, clock, arrived } = await startReplicas({ circuitBreaker });
    for (let round = 0; round < 3; round++) {
      const answer = send(outbound);
      await arrived(2 * round + 1);
      clock.advance(100);
      const tries = (await arrived(2 * round + 2)).slice(-2);
      expect((await send(outbound)).status).toBe(503);
      tries[round % 2].response.end('well');
      expect((await answer).body.toString()).toBe('well');
      await eventually(() => tries[1 - (round % 2)].given());
    }
  });

  it('is not made where the circuit breaker of the target allows no further request', async () => {
    const policy = { kind: 'CircuitBreakerPolicy', namespace: 'shop', name: 'one' };
    const { outbound, clock, arrived, arrivals } = await startReplicas({
      circuitBreaker: { policy, limits: { requests: 1 } },
    });
    const answer = send(outbound);
    const [only] = await arrived(1);
    clock.advance(10_000);
    only.response.end('only');
    expect((await answer).body.toString()).toBe('only');
    expect(arrivals).toHaveLength(1);
  });

  it('that finds no other replica leaves one that is on probation to the next request', async () => {
    const retry = { attempts: 3, codes: [500], backoff: 0 };
    const { outbound, clock, arrived } = await startReplicas({
      rule: { retry, hedging: { delay: 2_000 } },
      outlierDetection: {
        policy: { kind: 'OutlierDetectionPolicy', namespace: 'shop', name: 'one' },
        consecutiveErrors: 1,
        baseEjectionTime: 1_000,
        maxEjectionTime: 1_000,
        maxEjectionPercent: 50,
      },
    });
    const answer = send(outbound);
    const [failing] = await arrived(1);
    failing.response.writeHead(500).end();
    const [, other] = await arrived(2);
    // The ejection is over, but this request has been there.
    clock.advance(2_000);
    other.response.end('well');
    expect((await answer).body.toString()).toBe('well');
    const next = send(outbound);
    const [, , probe] = await arrived(3);
    expect(probe.replica).toBe(failing.replica);
    probe.response.end('again');
    expect((await next).body.toString()).toBe('again');
  });

  it.each([0, 1])('stands in where try %i fails', async (failing) => {
    const retry = { attempts: 3, codes: [500], backoff: 0 };
    const { outbound, clock, arrived, arrivals } = await startReplicas({ rule: { retry } });
    const answer = send(outbound);
    await arrived(1);
    clock.advance(100);
    const tries = await arrived(2);
    const { response } = tries[failing];
    response.statusCode = 500;
    response.end('failed');
    await eventually(() => response.writableFinished);
    tries[1 - failing].response.end('well');
    expect((await answer).body.toString()).toBe('well');
    expect(arrivals).toHaveLength(2);
  });

  it('that broke leaves the first alone, and what breaks then is repeated', async () => {
    // The sidecar of the replica says 502 where its application broke off.
    const retry = { attempts: 3, codes: [502], backoff: 0 };
    const { outbound, clock, arrived } = await startReplicas({ rule: { retry } });
    const answer = send(outbound);
    const [first] = await arrived(1);
    clock.advance(100);
    const [, second] = await arrived(2);
    second.request.socket.destroy();
    await eventually(() => second.given());
    first.request.socket.destroy();
    (await arrived(3))[2].response.end('third');
    expect((await answer).body.toString()).toBe('third');
  });

  it('has its own time for one try', async () => {
    const timeouts = { backendRequest: 150 };
    const { outbound, clock, arrived } = await startReplicas({ rule: { timeouts } });
    const answer = send(outbound);
    const [first] = await arrived(1);
    clock.advance(100);
    await arrived(2);
    clock.advance(50);
    await eventually(() => first.given());
    clock.advance(99);
    const early = await Promise.race([answer.then(() => 'answered'), new Promise((resolve) => setImmediate(resolve))]);
    expect(early).toBeUndefined();
    clock.advance(1);
    expect((await answer).status).toBe(504);
  });

  it('ends with the first when the caller goes', async () => {
    const { outbound, clock, arrived, client } = await startReplicas();
    const agent = new Agent();
    const request: ClientRequest = httpRequest({ host: '127.0.0.1', port: outbound, agent });
    request.on('error', () => {});
    request.end();
    await arrived(1);
    clock.advance(100);
    const tries = await arrived(2);
    request.socket!.resetAndDestroy();
    await eventually(() => client.log.entries.length === 1);
    await eventually(() => tries.every(({ given }) => given()));
    expect(client.log.entries[0].error).toContain('the caller broke off');
  });
});
