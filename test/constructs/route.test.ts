import { describe, expect, test } from '@jest/globals';
import { Construct } from 'constructs';
import {
  Access,
  AccessPolicy,
  Caller,
  Duration,
  Gateway,
  GrpcMethod,
  GrpcRoute,
  Header,
  LoadBalancing,
  LoadBalancingPolicy,
  Match,
  Method,
  MtlsPolicy,
  Path,
  PathChange,
  Port,
  Query,
  Route,
  type RouteRule,
  Service,
  Target,
  validate,
} from 'meshwright';
import { emptyMesh, http, objectsOf, smallMesh, workload } from './given.ts';

/** What a rule becomes in the HTTPRoute. */
function rendered(rule: (given: ReturnType<typeof smallMesh>) => RouteRule) {
  const given = smallMesh();
  new Route(given.mesh, 'route', { parent: given.reviews, rules: [rule(given), { to: given.reviews }] });
  expect(validate(given.mesh)).toEqual([]);
  return objectsOf(given.mesh, 'HTTPRoute').route.spec.rules?.[0];
}

const only = [Path.exact('/only')];

describe('a route', () => {
  test('states its conditions in the words of the Gateway API', () => {
    const rule = rendered(({ reviews }) => ({
      match: [
        Path.prefix('/api'),
        Method.is('GET'),
        Header.is('X-Canary', 'always'),
        Header.regex('user-agent', 'curl/[0-9.]+'),
        Query.is('page', '1'),
      ],
      to: reviews,
    }));
    expect(rule?.matches).toEqual([
      {
        path: { type: 'PathPrefix', value: '/api' },
        method: 'GET',
        headers: [
          { type: 'Exact', name: 'x-canary', value: 'always' },
          { type: 'RegularExpression', name: 'user-agent', value: 'curl/[0-9.]+' },
        ],
        queryParams: [{ type: 'Exact', name: 'page', value: '1' }],
      },
    ]);
  });

  test('has alternatives', () => {
    const match = Match.anyOf([Path.exact('/a')], [Path.regex('/b[0-9]')]);
    expect(rendered(({ reviews }) => ({ match, to: reviews }))?.matches).toEqual([
      { path: { type: 'Exact', value: '/a' } },
      { path: { type: 'RegularExpression', value: '/b[0-9]' } },
    ]);
  });

  test('sends shares of the requests to versions and to other services', () => {
    const rule = rendered(({ reviews, web }) => ({
      match: only,
      to: [Target.weighted(reviews.version('v1'), 3), Target.weighted(web, 1)],
    }));
    expect(rule?.backendRefs).toEqual([
      { name: 'reviews-v1', port: 8080, weight: 3 },
      { name: 'web', port: 8080, weight: 1 },
    ]);
  });

  test('limits time and retries', () => {
    const rule = rendered(({ reviews }) => ({
      match: only,
      to: reviews,
      timeout: Duration.seconds(90),
      backendTimeout: Duration.millis(1500),
      retry: { attempts: 2, codes: [502, 503], backoff: Duration.millis(50) },
    }));
    expect(rule).toMatchObject({
      timeouts: { request: '1m30s', backendRequest: '1s500ms' },
      retry: { attempts: 2, codes: [502, 503], backoff: '50ms' },
    });
  });

  test('changes headers, rewrites and mirrors', () => {
    const rule = rendered(({ reviews }) => ({
      match: [Path.prefix('/old')],
      to: reviews,
      requestHeaders: { set: { 'X-Shop': '1' }, add: { via: 'mesh' }, remove: ['cookie'] },
      responseHeaders: { remove: ['server'] },
      mirror: { to: reviews.version('v2'), percent: 5 },
      rewrite: { host: 'reviews.example', path: PathChange.prefix('/new') },
    }));
    expect(rule?.filters).toEqual([
      {
        type: 'RequestHeaderModifier',
        requestHeaderModifier: {
          set: [{ name: 'x-shop', value: '1' }],
          add: [{ name: 'via', value: 'mesh' }],
          remove: ['cookie'],
        },
      },
      { type: 'ResponseHeaderModifier', responseHeaderModifier: { remove: ['server'] } },
      { type: 'RequestMirror', requestMirror: { backendRef: { name: 'reviews-v2', port: 8080 }, percent: 5 } },
      {
        type: 'URLRewrite',
        urlRewrite: { hostname: 'reviews.example', path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/new' } },
      },
    ]);
  });

  test('says which pages of other origins may call', () => {
    const cors = {
      allowOrigins: ['https://a.example', 'http://*.b.example:8080'],
      allowMethods: ['PUT'],
      allowHeaders: '*',
      exposeHeaders: ['X-Total'],
      allowCredentials: true,
      maxAge: Duration.minutes(10),
    } as const;
    expect(rendered(({ reviews }) => ({ match: only, to: reviews, cors }))?.filters).toEqual([
      {
        type: 'CORS',
        cors: { ...cors, allowOrigins: [...cors.allowOrigins], allowHeaders: ['*'], maxAge: 600 },
      },
    ]);
    expect(rendered(({ reviews }) => ({ match: only, to: reviews, cors: { allowOrigins: '*' } }))?.filters).toEqual([
      { type: 'CORS', cors: { allowOrigins: ['*'] } },
    ]);
  });

  test('redirects', () => {
    const redirect = {
      scheme: 'https',
      host: 'shop.example',
      port: 8443,
      path: PathChange.full('/x'),
      status: 308,
    } as const;
    expect(rendered(() => ({ match: only, redirect }))?.filters).toEqual([
      {
        type: 'RequestRedirect',
        requestRedirect: {
          scheme: 'https',
          hostname: 'shop.example',
          port: 8443,
          path: { type: 'ReplaceFullPath', replaceFullPath: '/x' },
          statusCode: 308,
        },
      },
    ]);
  });

  test('is on one port of a service, on all of them, or on a listener of a gateway', () => {
    const mesh = emptyMesh();
    const two = new Service(mesh, 'two', { ports: { a: Port.http(1), b: Port.http(2) }, workload });
    const gateway = new Gateway(mesh, 'edge', { listeners: { http: { port: 80 } } });
    const rules = [{ to: two.port('a') }];
    new Route(mesh, 'one-port', { parent: two.port('b'), rules });
    new Route(mesh, 'all-ports', { parent: two, rules });
    new Route(mesh, 'gateway', { parent: gateway, rules, hostnames: ['shop.example'] });
    new Route(mesh, 'listener', { parent: gateway.listener('http'), rules });

    const routes = objectsOf(mesh, 'HTTPRoute');
    expect(Object.values(routes).map(({ spec }) => spec.parentRefs)).toEqual([
      [{ group: '', kind: 'Service', name: 'two', port: 2 }],
      [{ group: '', kind: 'Service', name: 'two' }],
      [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'edge' }],
      [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'edge', sectionName: 'http' }],
    ]);
    expect(routes.gateway.spec.hostnames).toEqual(['shop.example']);
  });

  test('sends to the port of its target that is called like its own', () => {
    const mesh = emptyMesh();
    const ports = { a: Port.http(1), b: Port.http(2) };
    const one = new Service(mesh, 'one', { ports, workload });
    const two = new Service(mesh, 'two', { ports, workload });
    new Route(mesh, 'route', { parent: one.port('b'), rules: [{ to: two }] });
    expect(objectsOf(mesh, 'HTTPRoute').route.spec.rules?.[0].backendRefs).toEqual([{ name: 'two', port: 2 }]);
  });

  test('is named by where it stands in the tree', () => {
    const { mesh, reviews } = smallMesh();
    new Route(new Construct(mesh, 'team'), 'canary', { parent: reviews, rules: [{ to: reviews }] });
    const route = objectsOf(mesh, 'HTTPRoute')['team-canary'];
    expect(route.metadata.annotations).toEqual({ 'meshwright.dev/construct-path': 'shop/team/canary' });
  });
});

test('a gRPC route is on methods', () => {
  const mesh = emptyMesh();
  const pricing = new Service(mesh, 'pricing', {
    ports: { grpc: Port.grpc(7000) },
    workload,
    versions: { v1: {}, v2: {} },
  });
  new GrpcRoute(mesh, 'route', {
    parent: pricing,
    rules: [
      {
        match: [GrpcMethod.is('shop.v1.Pricing', 'Quote'), Header.is('x-canary', 'always')],
        to: pricing.version('v2'),
      },
      { to: pricing },
    ],
  });

  expect(validate(mesh)).toEqual([]);
  expect(objectsOf(mesh, 'GRPCRoute').route.spec).toEqual({
    parentRefs: [{ group: '', kind: 'Service', name: 'pricing', port: 7000 }],
    rules: [
      {
        matches: [
          {
            method: { type: 'Exact', service: 'shop.v1.Pricing', method: 'Quote' },
            headers: [{ type: 'Exact', name: 'x-canary', value: 'always' }],
          },
        ],
        backendRefs: [{ name: 'pricing-v2', port: 7000 }],
      },
      { backendRefs: [{ name: 'pricing', port: 7000 }] },
    ],
  });
});

test('a gateway runs proxies of its own, with an identity', () => {
  const { mesh, web } = smallMesh();
  const gateway = new Gateway(mesh, 'edge', {
    listeners: { http: { port: 80 }, admin: { port: 80, hostname: 'admin.example' }, alt: { port: 8080 } },
    replicas: 2,
  });
  new Route(mesh, 'route', { parent: gateway, rules: [{ to: web }] });
  new AccessPolicy(mesh, 'access', { target: web, rules: [Access.allow({ from: [gateway] })] });

  expect(validate(mesh)).toEqual([]);
  expect(objectsOf(mesh, 'Gateway').edge.spec).toEqual({
    gatewayClassName: 'meshwright',
    listeners: [
      { name: 'http', port: 80, protocol: 'HTTP' },
      { name: 'admin', port: 80, protocol: 'HTTP', hostname: 'admin.example' },
      { name: 'alt', port: 8080, protocol: 'HTTP' },
    ],
  });
  const { spec } = objectsOf(mesh, 'Deployment')['edge-meshwright'];
  expect(spec.replicas).toBe(2);
  expect(spec.template.metadata?.labels).toMatchObject({ 'gateway.networking.k8s.io/gateway-name': 'edge' });
  expect(spec.template.spec.serviceAccountName).toBe('edge-meshwright');
  expect(objectsOf(mesh, 'Service')['edge-meshwright'].spec.ports?.map(({ port }) => port)).toEqual([80, 8080]);
  expect(objectsOf(mesh, 'AccessPolicy').access.spec.rules[0].from).toEqual([
    { serviceAccount: { namespace: 'shop', name: 'edge-meshwright' } },
  ]);
});

describe('a policy', () => {
  test('names callers by what they are', () => {
    const { mesh, reviews } = smallMesh();
    new AccessPolicy(mesh, 'access', {
      target: reviews.port('http'),
      rules: [
        Access.allow({ name: 'friends', from: [reviews, Caller.namespace('ops'), Caller.serviceAccount('ci', 'bot')] }),
        Access.allow({ from: [Caller.authenticated()], to: [{ methods: ['GET'], paths: [Path.prefix('/public')] }] }),
        Access.deny({ from: [Caller.anyone()], to: [{ methods: ['DELETE'] }] }),
      ],
    });

    expect(validate(mesh)).toEqual([]);
    expect(objectsOf(mesh, 'AccessPolicy').access.spec).toEqual({
      targetRefs: [{ group: '', kind: 'Service', name: 'reviews', sectionName: 'http' }],
      rules: [
        {
          name: 'friends',
          action: 'Allow',
          from: [
            { serviceAccount: { namespace: 'shop', name: 'reviews-v1' } },
            { serviceAccount: { namespace: 'shop', name: 'reviews-v2' } },
            { namespace: 'ops' },
            { serviceAccount: { namespace: 'ci', name: 'bot' } },
          ],
        },
        {
          name: 'rule-1',
          action: 'Allow',
          from: [{ authenticated: true }],
          to: [{ methods: ['GET'], paths: [{ type: 'PathPrefix', value: '/public' }] }],
        },
        { name: 'rule-2', action: 'Deny', to: [{ methods: ['DELETE'] }] },
      ],
    });
  });

  test('says how endpoints are chosen', () => {
    const { mesh, reviews } = smallMesh();
    new LoadBalancingPolicy(mesh, 'balance', { target: reviews.version('v1'), algorithm: LoadBalancing.roundRobin() });
    expect(objectsOf(mesh, 'LoadBalancingPolicy').balance.spec).toEqual({
      targetRefs: [{ group: '', kind: 'Service', name: 'reviews-v1' }],
      algorithm: 'RoundRobin',
    });
  });
});

test('a mesh is strict unless it says otherwise', () => {
  expect(objectsOf(emptyMesh(), 'Mesh').default.spec).toEqual({ trustDomain: 'shop.local', mtls: 'Strict' });
  expect(new Service(emptyMesh(), 'a', { ports: http, workload }).namespace).toBe('shop');
});

test('ports and listeners say where plain text begins with a PROXY header', () => {
  const mesh = emptyMesh();
  const ports = { http: Port.http(80, { proxyProtocol: true }), admin: Port.http(81) };
  const web = new Service(mesh, 'web', { ports, workload });
  new MtlsPolicy(mesh, 'open', { target: web.port('http'), mode: 'permissive' });
  const gateway = new Gateway(mesh, 'edge', {
    listeners: { http: { port: 80, proxyProtocol: true }, admin: { port: 81 } },
  });
  new Route(mesh, 'route', { parent: gateway, rules: [{ to: web.port('http') }] });
  expect(validate(mesh)).toEqual([]);
  const annotation = 'meshwright.dev/proxy-protocol';
  expect(objectsOf(mesh, 'Service').web.metadata.annotations).toMatchObject({ [annotation]: 'http' });
  expect(objectsOf(mesh, 'Gateway').edge.metadata.annotations).toMatchObject({ [annotation]: 'http' });
  expect(objectsOf(mesh, 'Service')['edge-meshwright'].metadata.annotations).not.toHaveProperty(annotation);
});

test('ports say whose programs listen with TLS only', () => {
  const mesh = emptyMesh();
  const ports = {
    http: Port.http(80, { appTls: 'unverified' }),
    grpc: Port.grpc(81, { appTls: 'unverified' }),
    h2: Port.http2(82),
  };
  new Service(mesh, 'web', { ports, workload });
  expect(validate(mesh)).toEqual([]);
  const { web } = objectsOf(mesh, 'Service');
  expect(web.metadata.annotations).toMatchObject({ 'meshwright.dev/app-tls': 'http,grpc' });
  // @ts-expect-error -- what a tcp port carries is for the program as it is
  Port.tcp(83, { appTls: 'unverified' });
});
