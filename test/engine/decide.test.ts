import { describe, expect, test } from '@jest/globals';
import { createSnapshot, decide, type SimulatedRequest } from '../../runtime/engine/index.ts';
import type { Balancer, Endpoints, Gateway, HttpRule, Service, Workload } from '../../runtime/model/index.ts';
import { accessRule, forward, is, match, prefix, rule, shopPolicy, to } from './fixtures.ts';

const all = [match(prefix('/'))];

function service(name: string, rules: readonly HttpRule[] = []): Service {
  const ports = [
    { port: 80, name: 'http', protocol: 'http' as const, rules },
    { port: 6379, name: 'redis', protocol: 'tcp' as const, rules: [] },
  ];
  return {
    kind: 'service',
    name: `shop/${name}`,
    hosts: [`${name}.shop`],
    addresses: [],
    ports,
    balancer: { kind: 'peak-ewma' },
  };
}

function endpoints(service: string, ...workloads: (string | undefined)[]): Endpoints {
  return {
    kind: 'endpoints',
    name: `shop/${service}`,
    endpoints: workloads.map((workload, index) => ({
      address: `10.0.0.${index}`,
      ports: { '80': 9080, '6379': 6379 },
      ...(workload ? { workload: `shop/${workload}`, identity: `spiffe://shop.local/ns/shop/sa/${workload}` } : {}),
    })),
  };
}

function workload(name: string, rest: Partial<Workload> = {}): Workload {
  return {
    kind: 'workload',
    name: `shop/${name}`,
    namespace: 'shop',
    serviceAccount: name,
    trustDomain: 'shop.local',
    mtls: 'strict',
    ports: [
      { port: 9080, protocol: 'http' },
      { port: 6379, protocol: 'tcp' },
    ],
    access: [],
    calls: 'all',
    ...rest,
  };
}

const onlyWebReads = {
  policy: shopPolicy,
  rules: [
    accessRule('allow', {
      name: 'web-reads',
      from: [{ kind: 'service-account', namespace: 'shop', name: 'web' }],
      to: [{ methods: ['GET'], paths: [prefix('/v2')] }],
    }),
  ],
};
const canary = rule('canary', [match(prefix('/reviews'))], {
  action: forward(
    to('shop/reviews-v1', 9),
    to('shop/reviews-v2', 1, { requestHeaders: { set: [], add: [{ name: 'x-canary', value: 'yes' }], remove: [] } }),
  ),
  rewrite: { host: 'reviews.internal', path: { kind: 'prefix', value: '/v2' } },
  requestHeaders: { set: [{ name: 'x-mesh', value: 'shop' }], add: [], remove: ['cookie'] },
  timeouts: { request: 1000 },
  retry: { attempts: 2, codes: [503], backoff: 25 },
});
const moved = rule('moved', [match(prefix('/old'))], {
  action: { kind: 'redirect', redirect: { status: 301, path: { kind: 'prefix', value: '/reviews' } } },
});
const gateway: Gateway = {
  kind: 'gateway',
  name: 'shop/public',
  listeners: ['shop.test', 'other.test'].map((host) => ({
    name: host,
    port: 8080,
    protocol: 'http',
    virtualHosts: [{ hostnames: [host], rules: [rule(host, all, { action: forward(to('shop/reviews-v1')) })] }],
  })),
};
const mesh = createSnapshot([
  service('reviews', [
    canary,
    moved,
    rule('beta', [match(prefix('/reviews'), { headers: [is('x-user', 'beta')] })], {
      action: forward(to('shop/reviews-v2')),
    }),
    rule('broken', [match(prefix('/broken'))], {
      action: forward({ weight: 1, problem: 'Service shop/gone does not exist' }, to('shop/empty')),
    }),
    rule('nothing', [match(prefix('/nothing'))], { action: forward() }),
  ]),
  service('reviews-v1'),
  service('reviews-v2'),
  service('cart'),
  endpoints('reviews-v1', 'reviews-v1', 'reviews-v1'),
  endpoints('reviews-v2', 'reviews-v2'),
  endpoints('cart', 'reviews-v1', 'reviews-v2', undefined, undefined),
  workload('web', { calls: ['shop/reviews', 'shop/cart'] }),
  workload('batch'),
  workload('edge', { gateway: 'shop/public' }),
  workload('reviews-v1'),
  workload('reviews-v2', { access: [onlyWebReads] }),
  gateway,
]);

const ask = (path: string, rest: Partial<SimulatedRequest> = {}) =>
  decide(mesh, { from: 'shop/web', to: 'reviews', path, ...rest });

describe('a decision', () => {
  test('tells the rule, the share of each backend and the request as it is forwarded', () => {
    const decision = ask('/reviews/7?full=1', { headers: { Cookie: 'a=b', Accept: ['x', 'y'] } });
    expect(decision).toMatchObject({
      outcome: 'forward',
      reason: 'forwarded by rule canary of HTTPRoute shop/reviews',
      service: { service: 'shop/reviews', port: 80 },
      rule: canary,
      timeouts: { request: 1000 },
      retry: { attempts: 2 },
      delivered: 1,
    });
    expect(decision.targets.map(({ target, probability, request }) => [target?.service, probability, request])).toEqual(
      [
        [
          'shop/reviews-v1',
          0.9,
          {
            method: 'GET',
            authority: 'reviews.internal',
            path: '/v2/7',
            query: 'full=1',
            headers: ['accept', 'x', 'accept', 'y', 'x-mesh', 'shop'],
          },
        ],
        [
          'shop/reviews-v2',
          0.1,
          {
            method: 'GET',
            authority: 'reviews.internal',
            path: '/v2/7',
            query: 'full=1',
            headers: ['accept', 'x', 'accept', 'y', 'x-mesh', 'shop', 'x-canary', 'yes'],
          },
        ],
      ],
    );
  });

  test('tells what the receivers say, each to the path it gets', () => {
    const receivers = (from: string, method: string) =>
      ask('/reviews', { from, method }).targets.flatMap(({ receivers }) =>
        receivers.map(({ workload, probability, allowed, reason }) => [workload, probability, allowed, reason]),
      );
    expect(receivers('shop/web', 'GET')).toEqual([
      ['shop/reviews-v1', 0.9, true, 'no allow rule restricts this port'],
      ['shop/reviews-v2', 0.1, true, 'allowed by rule web-reads of AccessPolicy shop/reviews'],
    ]);
    expect(receivers('shop/web', 'POST')[1]).toEqual(['shop/reviews-v2', 0.1, false, 'no allow rule matches']);
    expect(receivers('shop/batch', 'GET')[1]).toEqual(['shop/reviews-v2', 0.1, false, 'no allow rule matches']);
    expect(ask('/reviews', { method: 'POST' }).delivered).toBeCloseTo(0.9);
  });

  test('follows the headers of the request', () => {
    expect(ask('/reviews', { headers: { 'X-User': 'beta' } }).targets.map(({ target }) => target?.service)).toEqual([
      'shop/reviews-v2',
    ]);
  });

  test('splits a target by the workloads behind it', () => {
    const [{ receivers }] = decide(mesh, { from: 'shop/web', to: 'cart.shop:80' }).targets;
    expect(receivers).toMatchObject([
      { workload: 'shop/reviews-v1', probability: 0.25, mtls: true, allowed: true },
      { workload: 'shop/reviews-v2', probability: 0.25, mtls: true, allowed: false },
      { probability: 0.5, mtls: false, allowed: true, reason: 'it has no sidecar, so nothing is checked' },
    ]);
  });

  test('knows that nobody checks at a port which a pod leaves out of its redirection', () => {
    const { endpoints: all, ...rest } = endpoints('cart', 'reviews-v2');
    const leaving = { ...rest, endpoints: all.map((endpoint) => ({ ...endpoint, plainPorts: [9080] })) };
    const plain = createSnapshot([service('cart'), leaving, workload('web'), workload('reviews-v2')]);
    const receiverAt = (to: string) => decide(plain, { from: 'shop/web', to }).targets[0].receivers[0];
    const reason = 'port 9080 is left out of its redirection, so nothing is checked';
    expect(receiverAt('cart.shop:80')).toMatchObject({ mtls: false, allowed: true, reason });
    expect(receiverAt('cart.shop:6379')).toMatchObject({ mtls: true, allowed: true });
  });

  test('tells where a redirect goes', () => {
    expect(ask('/old/1')).toMatchObject({
      outcome: 'redirect',
      status: 301,
      location: 'http://reviews/reviews/1',
      delivered: 0,
    });
  });

  test('tells the status of backends that cannot be reached', () => {
    expect(ask('/broken').targets).toMatchObject([
      { probability: 0.5, status: 500, problem: 'Service shop/gone does not exist' },
      { probability: 0.5, status: 503, problem: 'shop/empty:80 has no ready endpoint' },
    ]);
    expect(ask('/nothing')).toMatchObject({ outcome: 'refuse', status: 500 });
  });

  test.each<[Partial<SimulatedRequest>, number, string]>([
    [{ to: 'nobody.shop' }, 502, 'no service has the host name nobody.shop'],
    [{ to: 'reviews.shop:81' }, 502, 'service shop/reviews has no port 81'],
    [{ to: 'reviews-v1.shop' }, 502, 'shop/web does not declare that it calls shop/reviews-v1'],
    [{ path: '/else' }, 404, 'no rule matches'],
    [{ path: '/a b' }, 400, 'the path /a b is malformed'],
    [{ gateway: 'shop/public', to: 'shop.test' }, 502, 'gateway shop/public does not listen on port 80'],
    [{ gateway: 'shop/public', to: 'unknown.test:8080' }, 404, 'no rule matches'],
  ])('on %j is %d: %s', (rest, status, reason) => {
    expect(ask('/', rest)).toMatchObject({ outcome: 'refuse', status, reason, delivered: 0, targets: [] });
  });

  test('explains the rules that did not decide', () => {
    expect(ask('/reviews').route?.considered.map(({ rule, verdict }) => `${rule.name} ${verdict}`)).toEqual([
      'beta no-match',
      'canary decided',
      'nothing no-match',
      'broken no-match',
      'moved no-match',
    ]);
  });

  test('lets a gateway speak with its own identity, and tells listeners apart by host', () => {
    const decision = decide(mesh, { gateway: 'shop/public', to: 'other.test:8080' });
    expect(decision).toMatchObject({
      rule: { name: 'other.test' },
      delivered: 1,
      targets: [{ receivers: [{ mtls: true }] }],
    });
  });

  test('refuses plain text from outside where mutual TLS is strict, and routes nothing for it', () => {
    const decision = decide(mesh, { to: 'cart.shop' });
    expect(decision.delivered).toBe(0.5);
    expect(decision.targets[0].receivers[0]).toMatchObject({
      mtls: false,
      reason: 'plain text is not accepted: mutual TLS is strict',
    });
    expect(decide(mesh, { to: 'reviews.shop' }).targets[0].target).toEqual({ service: 'shop/reviews', port: 80 });
  });

  test('sends TCP to the service itself and asks for the caller only', () => {
    const decision = decide(mesh, { from: 'shop/web', to: 'cart.shop:6379' });
    expect(decision).toMatchObject({ outcome: 'forward', targets: [{ probability: 1 }] });
    expect(decision.targets[0].receivers.map(({ allowed }) => allowed)).toEqual([true, false, true]);
  });

  test("follows the routes of the namespace that calls, in place of the service's own", () => {
    const [http, redis] = service('reviews', [canary]).ports;
    const stub = rule('stub', all, { action: forward(to('shop/reviews-v2')) });
    const tcp = (name: string) => ({
      route: { kind: 'TCPRoute', namespace: 'shop', name },
      backends: [
        { target: { service: 'shop/cart', port: 6379 }, weight: 3 },
        { problem: 'Service shop/gone does not exist', weight: 1 },
      ],
    });
    const routed = createSnapshot([
      ...[...mesh.services.values()].filter(({ name }) => name !== 'shop/reviews'),
      ...mesh.endpoints.values(),
      ...mesh.workloads.values(),
      workload('web', { name: 'test/web', namespace: 'test' }),
      {
        ...service('reviews'),
        ports: [
          { ...http, consumerRules: { test: [stub] } },
          { ...redis, tcpRoute: tcp('all'), consumerTcpRoutes: { test: { ...tcp('none'), backends: [] } } },
        ],
      },
    ]);
    const decided = (from: string | undefined, to: string) => {
      const { reason, targets } = decide(routed, { from, to, path: '/reviews' });
      return [reason, targets.map(({ target, probability }) => [target?.service, probability])];
    };
    expect([
      decided('shop/web', 'reviews.shop'),
      decided('test/web', 'reviews.shop'),
      decided('shop/web', 'reviews.shop:6379'),
      decided('test/web', 'reviews.shop:6379'),
      decided(undefined, 'reviews.shop:6379'),
    ]).toStrictEqual([
      [
        expect.stringContaining('rule canary'),
        [
          ['shop/reviews-v1', 0.9],
          ['shop/reviews-v2', 0.1],
        ],
      ],
      [expect.stringContaining('rule stub'), [['shop/reviews-v2', 1]]],
      [
        'forwarded as a stream of bytes by TCPRoute shop/all',
        [
          ['shop/cart', 0.75],
          [undefined, 0.25],
        ],
      ],
      ['closed by TCPRoute shop/none: it has no backend with a weight', []],
      ['forwarded as a stream of bytes', [['shop/reviews', 1]]],
    ]);
  });

  test('takes plain text from outside on a port that is permissive, and on no other', () => {
    const ports = [
      { port: 9080, protocol: 'http', mtls: 'permissive' },
      { port: 6379, protocol: 'tcp' },
    ] as const;
    const open = createSnapshot([
      service('reviews'),
      endpoints('reviews', 'reviews-v1'),
      workload('reviews-v1', { ports }),
    ]);
    const delivered = (to: string) => decide(open, { to }).delivered;
    expect([delivered('reviews.shop'), delivered('reviews.shop:6379')]).toStrictEqual([1, 0]);
  });

  test('needs a sender that exists', () => {
    expect(() => ask('/', { from: 'shop/wbe' })).toThrow('unknown workload shop/wbe; known: shop/batch, shop/edge');
    expect(() => ask('/', { gateway: 'shop/x' })).toThrow('unknown gateway shop/x; known: shop/public');
  });

  describe('chooses endpoints as their balancer would', () => {
    const policy = { kind: 'LoadBalancingPolicy', namespace: 'shop', name: 'cart' };

    function choose(balancer: Balancer, rest: Partial<SimulatedRequest> = {}, zones: readonly string[] = []) {
      const found = endpoints('cart', 'web', 'reviews-v1', 'reviews-v2');
      const placed = found.endpoints.map((each, index) => ({ ...each, zone: zones[index] }));
      const altered = createSnapshot([
        { ...service('cart'), balancer },
        { ...found, endpoints: placed },
        ...['reviews-v1', 'reviews-v2'].map((name) => workload(name)),
        workload('web', { zone: 'a' }),
      ]);
      const [{ balancing, receivers }] = decide(altered, { from: 'shop/web', to: 'cart.shop', ...rest }).targets;
      return { ...balancing, receivers: receivers.map(({ workload, probability }) => [workload, probability]) };
    }

    test('a key leads to one of them', () => {
      const balancer: Balancer = { kind: 'ring-hash', by: { kind: 'header', name: 'x-user' }, policy };
      const chosen = choose(balancer, { headers: { 'X-User': 'alice' } });
      expect(chosen).toMatchObject({
        key: 'alice',
        reason: 'ring hash of header x-user; so says LoadBalancingPolicy shop/cart',
        receivers: [[expect.any(String), 1]],
      });
      expect(choose(balancer, { headers: { 'x-user': 'alice' } })).toEqual(chosen);
      const without = choose(balancer);
      expect(without.receivers).toHaveLength(3);
      expect(without.reason).toContain('since header x-user to hash by is not there');
    });

    test('its source leads a caller to one of them, by TCP as well', () => {
      const balancer: Balancer = { kind: 'maglev', by: { kind: 'source' } };
      const key = 'spiffe://shop.local/ns/shop/sa/web';
      expect(choose(balancer)).toMatchObject({
        key,
        reason: 'maglev of the caller',
        receivers: [[expect.any(String), 1]],
      });
      expect(choose(balancer, { to: 'cart.shop:6379' })).toMatchObject({ key, receivers: [[expect.any(String), 1]] });
    });

    test('a preferred zone gets what it can take', () => {
      const balancer: Balancer = { kind: 'peak-ewma', preferSameZone: { minEndpoints: 2 } };
      const { receivers, reason } = choose(balancer, {}, ['a', 'b', 'b']);
      expect(receivers).toEqual([
        ['shop/web', 0.5],
        ['shop/reviews-v1', 0.25],
        ['shop/reviews-v2', 0.25],
      ]);
      expect(reason).toContain('1 of 3 endpoints are in zone a, which is preferred');
    });

    test('a session is begun, or goes on', () => {
      const session = { name: 'mw', path: '/', sameSite: 'Lax', secure: false } as const;
      const { receivers, reason } = choose({ kind: 'random', session });
      expect(receivers).toHaveLength(3);
      expect(reason).toBe('at random, which begins a session');
    });
  });
});
