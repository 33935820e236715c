import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Balancer, Endpoint, Endpoints, Service } from '../../runtime/model/index.ts';
import {
  closeAll,
  createAuthority,
  freePort,
  type ProxyOptions,
  send,
  startApp,
  startEcho,
  startProxy,
  svidOf,
} from './mesh.ts';
import { forwardTo, gatewayOf, service } from './resources.ts';

afterEach(closeAll);

const balanced = (balancer: Balancer, protocol: 'http' | 'tcp' = 'http'): Service => ({
  ...service('cart', 80, protocol),
  balancer,
});

const endpoints = (each: readonly Partial<Endpoint>[], ports: readonly number[]): Endpoints => ({
  kind: 'endpoints',
  name: 'shop/cart',
  endpoints: ports.map((port, index) => ({ address: '127.0.0.1', ports: { '80': port }, ...each[index] })),
});

/** Applications that answer with their place in the list, and a sidecar whose workload calls them. */
async function startCaller(
  balancer: Balancer,
  each: readonly Partial<Endpoint>[],
  more: ProxyOptions['bootstrap'] = {},
) {
  const ports = await Promise.all(each.map((_, index) => startApp((_request, response) => response.end(`${index}`))));
  const outbound = await freePort();
  const { proxy } = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(await createAuthority(), 'web'),
    resources: [balanced(balancer), endpoints(each, ports)],
    bootstrap: {
      outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/cart', port: 80 }] },
      ...more,
    },
  });
  return {
    proxy,
    ports,
    call: (headers: Record<string, string> = {}) => send(outbound, { headers }),
    async answers(count: number, headers?: Record<string, string>) {
      const seen = new Set<string>();
      for (let round = 0; round < count; round++) seen.add((await send(outbound, { headers })).body.toString());
      return [...seen].sort();
    },
  };
}

/** The first that a server says. */
function greetingOf(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      socket.destroy();
      resolve(chunk.toString());
    });
  });
}

describe('a hash', () => {
  it('leads requests with one key to one endpoint, other keys to others', async () => {
    const { answers } = await startCaller({ kind: 'ring-hash', by: { kind: 'header', name: 'x-user' } }, [{}, {}, {}]);
    const places = new Set<string>();
    for (let user = 0; user < 20; user++) {
      const seen = await answers(3, { 'x-user': `user-${user}` });
      expect(seen).toHaveLength(1);
      places.add(seen[0]);
    }
    expect(places.size).toBeGreaterThan(1);
  });

  it('reads the request as it came, before a rule changes it', async () => {
    const { proxy, answers } = await startCaller({ kind: 'maglev', by: { kind: 'query', name: 'q' } }, [{}, {}, {}]);
    const rule = forwardTo('shop/cart', 80, { requestHeaders: { set: [], add: [], remove: ['x-user'] } });
    const withRule = service('cart', 80, 'http', [rule]);
    proxy.apply([{ ...withRule, balancer: { kind: 'maglev', by: { kind: 'header', name: 'x-user' } } }], 'service', []);
    expect(await answers(10, { 'x-user': 'alice' })).toHaveLength(1);
  });

  it('of the source leads all streams of one caller to one endpoint', async () => {
    const ports = await Promise.all(['a', 'b', 'c'].map((greeting) => startEcho(greeting)));
    const outbound = await freePort();
    await startProxy({
      serviceAccount: 'web',
      svid: await svidOf(await createAuthority(), 'web'),
      resources: [balanced({ kind: 'maglev', by: { kind: 'source' } }, 'tcp'), endpoints([], ports)],
      bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/cart', port: 80 }] } },
    });
    const greetings = new Set<string>();
    for (let round = 0; round < 8; round++) greetings.add(await greetingOf(outbound));
    expect(greetings.size).toBe(1);
  });

  it('of the source leads a client of a gateway to one endpoint, whatever its port', async () => {
    const ports = await Promise.all(
      ['0', '1', '2'].map((name) => startApp((_request, response) => response.end(name))),
    );
    const listen = await freePort();
    await startProxy({
      serviceAccount: 'gateway',
      svid: await svidOf(await createAuthority(), 'gateway'),
      gateway: 'shop/shop',
      resources: [
        balanced({ kind: 'ring-hash', by: { kind: 'source' } }),
        endpoints([], ports),
        gatewayOf('shop', [forwardTo('shop/cart', 80)]),
      ],
      bootstrap: { gateway: [{ listen: `127.0.0.1:${listen}`, port: 80 }] },
    });
    const seen = new Set<string>();
    for (let round = 0; round < 8; round++) seen.add((await send(listen)).body.toString());
    expect(seen.size).toBe(1);
  });
});

describe('a session', () => {
  const sticky: Balancer = {
    kind: 'round-robin',
    session: { name: 'mw-cart', path: '/', sameSite: 'Lax', secure: false },
  };

  it('is begun by a cookie that scripts cannot read, and leads back', async () => {
    const { call, answers } = await startCaller(sticky, [{}, {}, {}]);
    const first = await call();
    const [cookie] = first.headers['set-cookie'] ?? [];
    expect(cookie).toMatch(/^mw-cart=[0-9a-z]+; Path=\/; HttpOnly; SameSite=Lax$/);
    const headers = { cookie: `theme=dark; ${cookie.split(';')[0]}` };
    expect(await answers(6, headers)).toEqual([first.body.toString()]);
    expect((await call(headers)).headers['set-cookie']).toBeUndefined();
  });

  it('goes on at another endpoint, with another cookie, when its own has gone', async () => {
    const { proxy, ports, call } = await startCaller(sticky, [{}, {}]);
    const first = await call();
    const [cookie] = first.headers['set-cookie'] ?? [];
    const left = ports.filter((_, index) => String(index) !== first.body.toString());
    proxy.apply([endpoints([], left)], 'endpoints', []);
    const next = await call({ cookie: cookie.split(';')[0] });
    expect(next.body).not.toEqual(first.body);
    expect(next.headers['set-cookie']).toHaveLength(1);
    expect(next.headers['set-cookie']?.[0]).not.toBe(cookie);
  });

  it('is none of the other services', async () => {
    const { call } = await startCaller({ kind: 'round-robin' }, [{}]);
    expect((await call()).headers['set-cookie']).toBeUndefined();
  });
});

describe('a preferred zone', () => {
  const near: Balancer = { kind: 'random', preferSameZone: { minEndpoints: 1 } };

  it('keeps requests where the sidecar runs', async () => {
    const { answers } = await startCaller(near, [{ zone: 'b' }, { zone: 'a' }, { zone: 'b' }], { zone: 'a' });
    expect(await answers(10)).toEqual(['1']);
  });

  it('is left when nothing is ready there', async () => {
    const { proxy, ports, answers } = await startCaller(near, [{ zone: 'b' }, { zone: 'a' }], { zone: 'a' });
    proxy.apply([endpoints([{ zone: 'b' }], ports.slice(0, 1))], 'endpoints', []);
    expect(await answers(5)).toEqual(['0']);
  });
});

it('a panic sends requests to what is not ready', async () => {
  const settings: Balancer = { kind: 'random', panicThreshold: 50 };
  const { proxy, ports, answers } = await startCaller(settings, [{}, { unready: true }]);
  expect(await answers(8)).toEqual(['0']);
  proxy.apply([endpoints([{ unready: true }, { unready: true }], ports)], 'endpoints', []);
  expect(await answers(30)).toEqual(['0', '1']);
});
