import { describe, expect, test } from '@jest/globals';
import {
  Access,
  AccessPolicy,
  App,
  Caller,
  Duration,
  Gateway,
  HashKey,
  Header,
  LoadBalancing,
  LoadBalancingPolicy,
  Mesh,
  Path,
  PathChange,
  Port,
  Route,
  type RouteRule,
  Service,
} from 'meshwright';
import { meshMatchers, simulate } from 'meshwright/testing';
import { emptyMesh, http, smallMesh, workload } from './given.ts';

expect.extend(meshMatchers);

function routed(rule: (reviews: ReturnType<typeof smallMesh>['reviews']) => RouteRule) {
  const given = smallMesh();
  new Route(given.mesh, 'route', { parent: given.reviews, rules: [rule(given.reviews)] });
  return given;
}

/** What a failed expectation says. */
function complaintOf(check: () => void): string {
  try {
    check();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('the expectation holds');
}

describe('simulate', () => {
  test('spreads requests without a route over all replicas', () => {
    const { mesh, reviews, web } = smallMesh();
    const { targets, decision, why } = simulate(mesh, { from: web, to: reviews });
    expect(targets).toEqual({ reviews: 1 });
    expect(decision.targets[0].receivers.map(({ workload, probability }) => [workload, probability])).toEqual([
      ['shop/reviews-v1', 0.5],
      ['shop/reviews-v2', 0.5],
    ]);
    expect(why).toContain('shop/reviews-v1 allows it: no allow rule restricts this port');
  });

  test('follows weights and says why', () => {
    const { mesh, reviews, web } = routed((reviews) => ({ name: 'split', to: reviews.split({ v1: 9, v2: 1 }) }));
    const simulation = simulate(mesh, { from: web, to: reviews });
    expect(simulation).toRouteTo(reviews.split({ v1: 90, v2: 10 }));
    expect(simulation).not.toRouteTo(reviews);
    expect(simulation).toMatchObject({ route: 'HTTPRoute shop/route', rule: 'split', outcome: 'forward' });
    expect(simulation.why[0]).toBe('forwarded by rule split of HTTPRoute shop/route');
  });

  test('takes a URL as an application would write it', () => {
    const { mesh, reviews, web } = routed((reviews) => ({ match: [Path.exact('/a')], to: reviews.version('v2') }));
    expect(simulate(mesh, { from: web, to: 'http://reviews:8080/a?b=c' })).toRouteTo(reviews.version('v2'));
    expect(simulate(mesh, { from: web, to: 'http://reviews.shop.svc.cluster.local:8080/b' })).toRefuseWith(404);
  });

  test('shows what the target sees', () => {
    const { mesh, reviews, web } = routed((reviews) => ({
      match: [Path.prefix('/old')],
      to: reviews,
      requestHeaders: { set: { 'x-by': 'mesh' }, remove: ['cookie'] },
      rewrite: { path: PathChange.prefix('/new') },
    }));
    const request = { from: web, to: reviews, path: '/old/1', headers: { cookie: 'a=b', accept: '*/*' } };
    expect(simulate(mesh, request).forwarded).toEqual({
      path: '/new/1',
      host: 'reviews.shop:8080',
      headers: { accept: '*/*', 'x-by': 'mesh' },
    });
  });

  test('knows limits, retries and mirrors', () => {
    const { mesh, reviews, web } = routed((reviews) => ({
      to: reviews.version('v1'),
      timeout: Duration.seconds(2),
      retry: { attempts: 2, codes: [503] },
      mirror: { to: reviews.version('v2'), percent: 10 },
    }));
    const simulation = simulate(mesh, { from: web, to: reviews });
    expect(simulation).toTimeOutAfter(Duration.seconds(2));
    expect(simulation).toRetry({ attempts: 2, codes: [503] });
    expect(simulation).not.toRetry({ attempts: 3 });
    expect(simulation).toMirrorTo(reviews.version('v2'));
    expect(simulation).not.toMirrorTo(reviews.version('v1'));
  });

  test('asks the access policies of the target', () => {
    const { mesh, reviews, web } = smallMesh();
    const other = new Service(mesh, 'other', { ports: http, workload, calls: [reviews] });
    new AccessPolicy(mesh, 'access', {
      target: reviews,
      rules: [
        Access.allow({ name: 'web-reads', from: [web], to: [{ methods: ['GET'] }] }),
        Access.deny({ name: 'no-admin', from: [Caller.anyone()], to: [{ paths: [Path.prefix('/admin')] }] }),
      ],
    });
    expect(simulate(mesh, { from: web, to: reviews })).toAllow();
    expect(simulate(mesh, { from: web, to: reviews, method: 'POST' })).toDeny();
    expect(simulate(mesh, { from: web, to: reviews, path: '/admin' })).toDeny('no-admin');
    expect(simulate(mesh, { from: web, to: reviews, path: '/admin' })).toRefuseWith(403);
    expect(simulate(mesh, { from: other, to: reviews })).toDeny();
  });

  test('denies a call that the caller does not declare', () => {
    const { mesh, reviews, web } = smallMesh();
    const simulation = simulate(mesh, { from: reviews.version('v1'), to: web });
    expect(simulation).toDeny();
    expect(simulation.why).toEqual(['shop/reviews-v1 does not declare that it calls shop/web']);
  });

  test('denies a caller without identity unless the mesh is permissive', () => {
    const strict = smallMesh();
    expect(simulate(strict.mesh, { to: strict.web })).toDeny();

    const mesh = new Mesh(new App(), 'shop', { trustDomain: 'shop.local', mtls: 'permissive' });
    const open = new Service(mesh, 'open', { ports: http, workload });
    expect(simulate(mesh, { to: open })).toAllow();
  });

  test('enters by a gateway', () => {
    const { mesh, web } = smallMesh();
    const gateway = new Gateway(mesh, 'edge', { listeners: { http: { port: 8080 } } });
    new Route(mesh, 'shop', { parent: gateway, hostnames: ['shop.example'], rules: [{ to: web }] });
    new Route(mesh, 'old', {
      parent: gateway,
      hostnames: ['old.example'],
      rules: [{ redirect: { host: 'shop.example', status: 301 } }],
    });

    expect(simulate(mesh, { to: gateway, headers: { host: 'shop.example' } })).toRouteTo(web);
    expect(simulate(mesh, { to: gateway.listener('http'), headers: { host: 'shop.example' } })).toAllow();
    expect(simulate(mesh, { to: gateway, headers: { host: 'evil.example' } })).toRefuseWith(404);
    expect(simulate(mesh, { to: gateway, path: '/a', headers: { host: 'old.example' } })).toRedirectTo(
      'http://shop.example:8080/a',
      301,
    );
  });

  test('compares texts beyond ASCII as the proxies do, and shows them as they are', () => {
    const { mesh, web, reviews } = routed((reviews) => ({
      match: [Path.prefix('/menü'), Header.is('x-name', 'Jürgen')],
      to: reviews.version('v2'),
      requestHeaders: { set: { 'x-sent': '€' } },
    }));
    const request = { from: web, to: reviews, path: '/men%C3%BC', headers: { 'x-name': 'Jürgen' } };
    expect(simulate(mesh, request)).toRouteTo(reviews.version('v2'));
    expect(simulate(mesh, request).forwarded?.headers).toMatchObject({ 'x-name': 'Jürgen', 'x-sent': '€' });
  });

  test.each(['x_canary', 'x-real-ip'])('knows that a gateway takes no %s from its clients', (name) => {
    const { mesh, web, reviews } = smallMesh();
    const gateway = new Gateway(mesh, 'edge', { listeners: { http: { port: 80 } } });
    new Route(mesh, 'shop', {
      parent: gateway,
      rules: [{ match: [Header.is(name, 'a')], to: reviews }, { to: web }],
    });
    expect(simulate(mesh, { to: gateway, headers: { [name]: 'a' } })).toRouteTo(web);
  });

  test('knows that it does where the mesh lets underscores pass', () => {
    const mesh = new Mesh(new App(), 'shop', { strangers: { underscores: 'keep' } });
    const web = new Service(mesh, 'web', { ports: http, workload });
    const gateway = new Gateway(mesh, 'edge', { listeners: { http: { port: 80 } } });
    new Route(mesh, 'shop', { parent: gateway, rules: [{ match: [Header.is('x_canary', 'a')], to: web }] });
    expect(simulate(mesh, { to: gateway, headers: { x_canary: 'a' } })).toRouteTo(web);
  });

  describe('of a client whose address is stated', () => {
    const lie = { host: 'shop.example', 'x-forwarded-for': '6.6.6.6', 'x-forwarded-client-cert': 'URI=spiffe://a/b' };
    const stranger = {
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'shop.example',
    };
    const trustedProxies = ['10.2.7.0/24'];

    test.each([
      ['203.0.113.7', stranger, 'it is no trusted proxy'],
      [
        '10.2.7.9',
        { ...stranger, 'x-forwarded-for': '6.6.6.6' },
        'it is a trusted proxy of 10.2.7.0/24, so what it says of its clients counts',
      ],
    ])('a gateway believes %s as much as the mesh says', (client, headers, why) => {
      const mesh = new Mesh(new App(), 'shop', { strangers: { trustedProxies } });
      const web = new Service(mesh, 'web', { ports: http, workload });
      const gateway = new Gateway(mesh, 'edge', { listeners: { http: { port: 80 } } });
      new Route(mesh, 'shop', { parent: gateway, rules: [{ to: web }] });
      new LoadBalancingPolicy(mesh, 'by-client', {
        target: web,
        algorithm: LoadBalancing.ringHash({ by: HashKey.source() }),
      });
      const { forwarded, why: reasons, decision } = simulate(mesh, { client, to: gateway, headers: lie });
      expect(forwarded?.headers).toEqual(headers);
      expect(reasons).toContainEqual(expect.stringContaining(`client ${client}: ${why}`));
      expect(decision.targets[0].balancing?.key).toBe(client);
    });

    test('a gateway behind a PROXY header believes nobody', () => {
      const mesh = new Mesh(new App(), 'shop', { strangers: { trustedProxies } });
      const web = new Service(mesh, 'web', { ports: http, workload });
      const gateway = new Gateway(mesh, 'edge', { listeners: { http: { port: 80, proxyProtocol: true } } });
      new Route(mesh, 'shop', { parent: gateway, rules: [{ to: web }] });
      const { forwarded } = simulate(mesh, { client: '10.2.7.9', to: gateway, headers: lie });
      expect(forwarded?.headers['x-forwarded-for']).toBe('10.2.7.9');
    });

    test.each([
      ['203.0.113.7', '203.0.113.7'],
      ['10.2.7.9', '6.6.6.6'],
    ])('a permissive port takes of %s what counts', (client, told) => {
      const mesh = new Mesh(new App(), 'shop', { mtls: 'permissive', strangers: { trustedProxies } });
      const web = new Service(mesh, 'web', { ports: http, workload });
      const { forwarded, why } = simulate(mesh, { client, to: web, headers: lie });
      expect(forwarded?.headers).toEqual({ ...stranger, 'x-forwarded-for': told });
      expect(why).toContainEqual(expect.stringContaining(`client ${client}: it is `));
    });

    test('a text that is no address is refused', () => {
      const { mesh, web } = smallMesh();
      const gateway = new Gateway(mesh, 'edge', { listeners: { http: { port: 80 } } });
      new Route(mesh, 'shop', { parent: gateway, rules: [{ to: web }] });
      expect(() => simulate(mesh, { client: 'ingress', to: gateway })).toThrow('client ingress is no address');
    });
  });

  test('asks ahead for a page of another origin', () => {
    const { mesh, web } = smallMesh();
    const gateway = new Gateway(mesh, 'edge', { listeners: { http: { port: 80 } } });
    new Route(mesh, 'shop', {
      parent: gateway,
      rules: [{ to: web, cors: { allowOrigins: ['https://*.shop.example'] } }],
    });
    const from = (origin: string) => ({ to: gateway, headers: { origin } });
    expect(simulate(mesh, from('https://a.shop.example'))).toShareWith('https://a.shop.example');
    expect(simulate(mesh, from('https://evil.example'))).not.toShareWith('https://evil.example');
    expect(simulate(mesh, { to: gateway })).not.toShareWith('https://a.shop.example');

    const ask = (origin: string) =>
      simulate(mesh, {
        to: gateway,
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'PUT' },
      });
    expect(ask('https://a.shop.example')).toMatchObject({ outcome: 'answer', status: 204 });
    expect(ask('https://evil.example')).toRefuseWith(403);
    expect(ask('https://evil.example').why).toContain('cors: origin https://evil.example is not allowed');
  });

  test('reaches services that exist already', () => {
    const { mesh, web } = smallMesh();
    const legacy = Service.fromName(mesh, 'legacy', { ports: http, versions: ['blue', 'green'] });
    web.calls(legacy);
    new Route(mesh, 'route', { parent: legacy, rules: [{ to: legacy.split({ blue: 1, green: 1 }) }] });
    expect(simulate(mesh, { from: web, to: legacy })).toRouteTo(legacy.split({ blue: 1, green: 1 }));
    expect(simulate(mesh, { from: web, to: legacy })).toAllow();
  });

  test('finds no endpoint where there are no replicas', () => {
    const mesh = emptyMesh();
    const idle = new Service(mesh, 'idle', { ports: http, workload: { ...workload, replicas: 0 } });
    const web = new Service(mesh, 'web', { ports: http, workload, calls: [idle] });
    const simulation = simulate(mesh, { from: web, to: idle });
    expect(simulation).not.toAllow();
    expect(simulation).not.toDeny();
    expect(simulation.why).toContain('shop/idle: shop/idle:8080 has no ready endpoint');
  });

  test('decides about tcp by identity', () => {
    const mesh = emptyMesh();
    const store = new Service(mesh, 'store', { ports: { db: Port.tcp(6379) }, workload });
    const cart = new Service(mesh, 'cart', { ports: http, workload, calls: [store] });
    const web = new Service(mesh, 'web', { ports: http, workload, calls: [store] });
    new AccessPolicy(mesh, 'access', { target: store, rules: [Access.allow({ from: [cart] })] });
    expect(simulate(mesh, { from: cart, to: store })).toAllow();
    expect(simulate(mesh, { from: web, to: store })).toDeny();
  });

  test('refuses a tree with errors', () => {
    const mesh = emptyMesh();
    const broken = new Service(mesh, 'broken', { ports: http });
    expect(() => simulate(mesh, { to: broken })).toThrow('error MW1138');
  });
});

describe('a failed expectation tells why', () => {
  test('about routes', () => {
    const { mesh, reviews, web } = routed((reviews) => ({ name: 'all', to: reviews.split({ v1: 9, v2: 1 }) }));
    const simulation = simulate(mesh, { from: web, to: reviews });
    expect(complaintOf(() => expect(simulation).toRouteTo(reviews.version('v1')))).toBe(
      [
        'expected the request to route to reviews-v1 (100 %), but it goes to reviews-v1 (90 %), reviews-v2 (10 %)',
        '  forwarded by rule all of HTTPRoute shop/route',
        '  shop/reviews-v1 allows it: no allow rule restricts this port',
        '  shop/reviews-v2 allows it: no allow rule restricts this port',
      ].join('\n'),
    );
  });

  test('about access', () => {
    const { mesh, reviews, web } = smallMesh();
    new AccessPolicy(mesh, 'access', { target: reviews, rules: [Access.allow({ from: [Caller.namespace('ops')] })] });
    const simulation = simulate(mesh, { from: web, to: reviews });
    expect(complaintOf(() => expect(simulation).toAllow())).toContain(
      'expected the request to be allowed, but it is denied: no allow rule matches',
    );
    expect(complaintOf(() => expect(simulation).toDeny('no-web'))).toContain(
      'expected the request to be denied by rule no-web',
    );
    expect(complaintOf(() => expect(simulation).not.toDeny())).toContain('expected the request not to be denied');
  });

  test('about the rest', () => {
    const { mesh, reviews, web } = routed((reviews) => ({ match: [Header.is('a', 'b')], to: reviews }));
    const simulation = simulate(mesh, { from: web, to: reviews });
    const complaints = [
      () => expect(simulation).toRedirectTo('http://example.com/', 302),
      () => expect(simulation).toRefuseWith(500),
      () => expect(simulation).toRetry(),
      () => expect(simulation).toTimeOutAfter(Duration.seconds(1)),
      () => expect(simulation).toMirrorTo(web),
      () => expect(simulation).toAllow(),
    ].map((check) => complaintOf(check).split('\n')[0]);
    expect(complaints).toEqual([
      'expected the request to be redirected to http://example.com/ with status 302, but it is not redirected',
      'expected the request to be refused with status 500, but its status is 404',
      'expected the request to be retried as {}, but it is not retried',
      'expected the request to time out after 1000 ms, but it has no time limit',
      'expected the request to be mirrored to shop/web, but it is not mirrored',
      'expected the request to be allowed, but it is not sent on: status 404',
    ]);
  });
});
