import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type {
  Clock,
  Endpoint,
  OutlierDetection,
  Protocol,
  Resource,
  Service,
  Timeouts,
} from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import {
  closeAll,
  closeLater,
  createAuthority,
  freePort,
  policiesShown,
  send,
  startApp,
  startEcho,
  startProxy,
  svidOf,
} from './mesh.ts';
import { forwardTo, identityOf, service } from './resources.ts';

afterEach(closeAll);

const base = 400;
const detection: OutlierDetection = {
  policy: { kind: 'OutlierDetectionPolicy', namespace: 'shop', name: 'outliers' },
  consecutiveGatewayErrors: 2,
  baseEjectionTime: base,
  maxEjectionTime: 60_000,
  maxEjectionPercent: 50,
};

const judged = (of: Service, settings: Partial<OutlierDetection> = {}): Service => ({
  ...of,
  balancer: { kind: 'round-robin' },
  ports: of.ports.map((port) => ({ ...port, outlierDetection: { ...detection, ...settings } })),
});

const endpoints = (each: readonly Partial<Endpoint>[], ports: readonly number[]): Resource => ({
  kind: 'endpoints',
  name: 'shop/reviews',
  endpoints: ports.map((port, index) => ({ address: '127.0.0.1', ports: { 9080: port }, ...each[index] })),
});

/** `web` calls `reviews`, the endpoints of which listen on these ports. */
async function startCaller(
  ports: readonly number[],
  reviews: Service,
  each: readonly Partial<Endpoint>[] = [],
  clock?: Clock,
) {
  const authority = await createAuthority();
  const outbound = await freePort();
  const client = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(authority, 'web'),
    ...(clock && { clock }),
    resources: [reviews, endpoints(each, ports)],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] } },
  });
  const answers = async (count: number) => {
    const seen: number[] = [];
    for (let round = 0; round < count; round++) seen.push((await send(outbound)).status);
    return seen;
  };
  return { authority, client, outbound, answers, ejected: () => client.proxy.state.outlierDetection[0].ejected };
}

/** Two applications of `reviews`, the second of which answers what it is told to. */
async function startReviews(protocol: Protocol = 'http') {
  let status = 200;
  let reached = 0;
  const well = await startApp((_request, response) => response.end('well'));
  const moody = await startApp((_request, response) => {
    reached++;
    response.writeHead(status).end();
  });
  return {
    well,
    moody,
    protocol,
    answer: (next: number) => {
      status = next;
    },
    reached: () => reached,
  };
}

describe('an endpoint that fails', () => {
  it('is left alone by its callers, tried by one request, and admitted when that succeeds', async () => {
    const { well, moody, answer, reached } = await startReviews();
    const authority = await createAuthority();
    const inbound = async (app: number) => {
      const listen = `127.0.0.1:${await freePort()}`;
      await startProxy({
        serviceAccount: 'reviews',
        svid: await svidOf(authority, 'reviews'),
        ports: [{ port: 9080, protocol: 'http' }],
        bootstrap: { inbound: [{ listen, port: 9080, app: `127.0.0.1:${app}` }] },
      });
      return Number(listen.split(':')[1]);
    };
    const ports = [await inbound(well), await inbound(moody)];
    const identity = identityOf('reviews');
    const outbound = await freePort();
    const client = await startProxy({
      serviceAccount: 'web',
      svid: await svidOf(authority, 'web'),
      resources: [judged(service('reviews', 9080, 'http')), endpoints([{ identity }, { identity }], ports)],
      bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] } },
    });
    const ejected = () => client.proxy.state.outlierDetection[0].ejected;

    answer(503);
    for (let round = 0; round < 4; round++) await send(outbound);
    expect(ejected()).toMatchObject([
      { address: `127.0.0.1:${ports[1]}`, reason: 'consecutive-gateway-errors', times: 1 },
    ]);
    const before = reached();
    expect(before).toBe(2);
    const exposed = client.metrics.registry.expose();
    expect(exposed).toContain('meshwright_ejected_endpoints{source="shop/web",service="shop/reviews",port="9080"} 1');
    expect(exposed).toContain(
      'meshwright_endpoint_ejections_total{service="shop/reviews",policy="OutlierDetectionPolicy shop/outliers",reason="consecutive-gateway-errors"} 1',
    );
    expect(policiesShown(client).ejections).toEqual([{ service: 'shop/reviews', port: 9080, ejected: 1, proxies: 1 }]);

    // It is still as bad when its time is over, so it is out again, for twice as long.
    await eventually(async () => {
      await send(outbound);
      return ejected()[0]?.reason === 'probation';
    });
    expect([reached(), ejected()[0].times]).toEqual([before + 1, 2]);

    answer(200);
    await eventually(async () => {
      expect((await send(outbound)).status).toBe(200);
      return ejected().length === 0;
    });
    await send(outbound);
    await send(outbound);
    expect(reached()).toBe(before + 3);
    expect(client.metrics.registry.expose()).toContain('service="shop/reviews",port="9080"} 0');
    expect(policiesShown(client).ejections).toEqual([]);
  });

  it('is tried by the next request where a circuit breaker refused the one that was to try it', async () => {
    const { well } = await startReviews();
    const moody = await startApp((_request, response) => response.writeHead(503, { connection: 'close' }).end());
    const clock = new ManualClock();
    const reviews = judged(service('reviews', 9080, 'http'));
    const policy = { kind: 'CircuitBreakerPolicy', namespace: 'shop', name: 'waiting' };
    const waiting = (pending: number) => ({
      ...reviews,
      ports: reviews.ports.map((port) => ({ ...port, circuitBreaker: { policy, limits: { pending } } })),
    });
    const { answers, ejected, client } = await startCaller([well, moody], waiting(1), [], clock);
    expect((await answers(4)).sort()).toEqual([200, 200, 503, 503]);
    clock.advance(2 * base);
    client.proxy.apply([waiting(0)], 'service', []);
    expect(await answers(1)).toEqual([503]);
    expect(ejected()[0].reason).toBe('consecutive-gateway-errors');
    client.proxy.apply([waiting(1)], 'service', []);
    expect(await answers(1)).toEqual([503]);
    expect(ejected()[0].reason).toBe('probation');
  });

  it('is never the last one, and all the others', async () => {
    const { well, moody, answer } = await startReviews();
    const reviews = judged(service('reviews', 9080, 'http'), { maxEjectionPercent: 49 });
    const { answers, ejected } = await startCaller([well, moody], reviews);
    answer(503);
    expect((await answers(8)).filter((status) => status === 503)).toHaveLength(4);
    expect(ejected()).toEqual([]);
  });

  it('by refusing connections is left alone as well; retries hide it meanwhile', async () => {
    const { well } = await startReviews();
    const rules = [forwardTo('shop/reviews', 9080, { retry: { attempts: 1, codes: [], backoff: 0 } })];
    const reviews = judged(service('reviews', 9080, 'http', rules), { baseEjectionTime: 60_000 });
    const { answers, ejected, client } = await startCaller([well, await freePort()], reviews);
    expect(new Set(await answers(8))).toEqual(new Set([200]));
    expect(ejected()).toHaveLength(1);
    expect(client.log.entries.filter(({ retries }) => retries !== undefined)).toHaveLength(2);
  });

  it('is told of where all are ejected', async () => {
    const reviews = judged(service('reviews', 9080, 'http'), { baseEjectionTime: 60_000, maxEjectionPercent: 100 });
    const { answers, client, outbound } = await startCaller([await freePort()], reviews);
    await answers(2);
    const { status, body } = await send(outbound);
    expect([status, String(body)]).toEqual([
      503,
      'shop/reviews has no ready endpoint: all its endpoints (1) are ejected, as OutlierDetectionPolicy shop/outliers says\n',
    ]);
    expect(client.log.entries.map(({ response_flags }) => response_flags)).toContain('UH');
  });

  it('is judged by its connections where it speaks TCP', async () => {
    const echo = await startEcho('hello\n');
    const dead = await freePort();
    const reviews = judged(service('reviews', 9080, 'tcp'), { baseEjectionTime: 60_000 });
    const { outbound, ejected } = await startCaller([echo, dead], reviews);
    const greeted = async () => {
      const socket = connect(outbound, '127.0.0.1').on('error', () => {});
      closeLater(() => void socket.destroy());
      return new Promise<boolean>((resolve) => {
        socket.on('data', () => resolve(true));
        socket.on('close', () => resolve(false));
      });
    };
    const seen: boolean[] = [];
    for (let round = 0; round < 4; round++) seen.push(await greeted());
    expect(seen.filter(Boolean)).toHaveLength(2);
    await eventually(() => ejected().length === 1);
    for (let round = 0; round < 4; round++) expect(await greeted()).toBe(true);
  });

  it('is judged by the time that its rule allows, not by what a caller can wait', async () => {
    const { well } = await startReviews();
    const slow = await startApp(() => {});
    const call = async (timeouts: Timeouts, deadline: string) => {
      const reviews = judged(service('reviews', 9080, 'http', [forwardTo('shop/reviews', 9080, { timeouts })]));
      const { outbound, ejected, client } = await startCaller([well, slow], reviews);
      const headers = { 'content-type': 'application/grpc', 'grpc-timeout': deadline };
      for (let round = 0; round < 4; round++) await send(outbound, { method: 'POST', headers, body: 'call' });
      expect(client.log.entries.filter(({ grpc_status }) => grpc_status === 'DEADLINE_EXCEEDED')).toHaveLength(2);
      return ejected().length;
    };
    expect(await call({ request: 60_000 }, '300m')).toBe(0);
    expect(await call({ request: 300 }, '1M')).toBe(1);
    expect(await call({ backendRequest: 300 }, '1M')).toBe(1);
  });

  it('does not fail where its callers give up', async () => {
    const { well } = await startReviews();
    let waiting = 0;
    const slow = await startApp(() => {
      waiting++;
    });
    const { outbound, ejected } = await startCaller([well, slow], judged(service('reviews', 9080, 'http')));
    for (let round = 1; round <= 4; round++) {
      const socket = connect(outbound, '127.0.0.1').on('error', () => {});
      socket.write('GET / HTTP/1.1\r\nhost: reviews\r\n\r\n');
      await eventually(() => waiting === Math.floor(round / 2) || waiting === Math.ceil(round / 2));
      socket.resetAndDestroy();
    }
    await eventually(() => waiting === 2);
    expect(ejected()).toEqual([]);
  });
});
