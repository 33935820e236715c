import { describe, expect, test } from '@jest/globals';
import { Construct } from 'constructs';
import {
  Access,
  AccessPolicy,
  App,
  acknowledge,
  Caller,
  Duration,
  Gateway,
  GrpcMethod,
  GrpcRoute,
  Header,
  LoadBalancing,
  LoadBalancingPolicy,
  Match,
  Mesh,
  Method,
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
import type { FindingId } from '../../runtime/model/index.ts';
import { emptyMesh, http, smallMesh, workload } from './given.ts';

type Case = readonly [id: FindingId, title: string, define: () => Construct, construct: string, message: string];

/** A mesh of one service `reviews` whose route has these rules, besides one for all other requests. */
function routed(...rules: RouteRule[]): Mesh {
  const mesh = emptyMesh();
  const reviews = new Service(mesh, 'reviews', { ports: http, workload });
  new Route(mesh, 'route', { parent: reviews, rules: [...rules, { name: 'rest', to: reviews }] });
  return mesh;
}

function matching(...match: NonNullable<Extract<RouteRule['match'], readonly unknown[]>>): Mesh {
  const mesh = emptyMesh();
  const reviews = new Service(mesh, 'reviews', { ports: http, workload });
  new Route(mesh, 'route', { parent: reviews, rules: [{ match, to: reviews }, { to: reviews }] });
  return mesh;
}

function forwarding(rule: (reviews: Service<typeof http, 'v1' | 'v2'>) => RouteRule): Mesh {
  const { mesh, reviews } = smallMesh();
  new Route(mesh, 'route', { parent: reviews, rules: [rule(reviews)] });
  return mesh;
}

function guarded(...rules: Access[]): Mesh {
  const mesh = emptyMesh();
  const cart = new Service(mesh, 'cart', { ports: http, workload });
  new AccessPolicy(mesh, 'access', { target: cart, rules });
  return mesh;
}

function serving(props: Partial<ConstructorParameters<typeof Service>[2]>, id = 'reviews'): Mesh {
  const mesh = emptyMesh();
  new Service(mesh, id, { ports: http, workload, ...props });
  return mesh;
}

const elsewhere = () => new Service(emptyMesh('other'), 'stranger', { ports: http, workload });

const cases: readonly Case[] = [
  [
    'MW1131',
    'a trust domain in upper case',
    () => new Mesh(new App(), 'shop', { trustDomain: 'Shop.local' }),
    'shop',
    "trust domain 'Shop.local' is invalid; allowed are lower-case letters, digits, dots, dashes and underscores",
  ],
  [
    'MW1132',
    'a service name that is not a DNS label',
    () => serving({}, 'Reviews_API'),
    'shop/Reviews_API',
    "service name 'Reviews_API' is not a DNS label; allowed are up to 63 lower-case letters, digits and dashes, with a letter first",
  ],
  [
    'MW1132',
    'a version name that is not part of a DNS label',
    () => serving({ versions: { 'v1.2': {} } }),
    'shop/reviews',
    "the name of version v1.2, 'reviews-v1.2' is not a DNS label; allowed are up to 63 lower-case letters, digits and dashes, with a letter first",
  ],
  [
    'MW1132',
    'a namespace that is not a DNS label',
    () => new Mesh(new App(), 'shop', { trustDomain: 'shop.local', namespace: 'shop.eu' }),
    'shop',
    "namespace 'shop.eu' is not a DNS label; allowed are up to 63 lower-case letters, digits and dashes",
  ],
  [
    'MW1132',
    'a route the ids of which make no DNS name',
    () => {
      const { mesh, reviews } = smallMesh();
      return new Route(mesh, 'My Route', { parent: reviews, rules: [{ to: reviews }] });
    },
    'shop/My Route',
    "route name 'My Route' is not a DNS name; allowed are lower-case letters, digits, dashes and dots",
  ],
  [
    'MW1133',
    'a service called like the version of another',
    () => {
      const { mesh } = smallMesh();
      new Service(mesh, 'reviews-v1', { ports: http, workload });
      return mesh;
    },
    'shop/reviews-v1',
    'Service shop/reviews-v1 is already made by shop/reviews',
  ],
  ['MW1134', 'a service without ports', () => serving({ ports: {} }), 'shop/reviews', 'it has no ports'],
  [
    'MW1135',
    'a port beyond 65535',
    () => serving({ ports: { http: Port.http(80_800) } }),
    'shop/reviews',
    'port http is 80800; allowed are whole numbers from 1 to 65535',
  ],
  [
    'MW1135',
    'a container port of 0',
    () => serving({ ports: { http: Port.http(80, { containerPort: 0 }) } }),
    'shop/reviews',
    'the container port of http is 0; allowed are whole numbers from 1 to 65535',
  ],
  [
    'MW1136',
    'a port name that Kubernetes would refuse',
    () => serving({ ports: { httpTraffic_main: Port.http(80) } }),
    'shop/reviews',
    "port name 'httpTraffic_main' is invalid; allowed are up to 15 lower-case letters, digits and single dashes, with at least one letter",
  ],
  [
    'MW1137',
    'two ports of one number',
    () => serving({ ports: { http: Port.http(80), admin: Port.http(80) } }),
    'shop/reviews',
    'ports http and admin both have port 80',
  ],
  [
    'MW1137',
    'two ports that lead to one container port',
    () =>
      serving({
        ports: { http: Port.http(80, { containerPort: 9000 }), admin: Port.http(81, { containerPort: 9000 }) },
      }),
    'shop/reviews',
    'ports http and admin both have container port 9000',
  ],
  [
    'MW1138',
    'a service that nothing runs',
    () => new Service(emptyMesh(), 'reviews', { ports: http }),
    'shop/reviews/Workload',
    'no image is stated for reviews',
  ],
  [
    'MW1138',
    'a version that nothing runs',
    () => new Service(emptyMesh(), 'reviews', { ports: http, versions: { v1: {} } }),
    'shop/reviews/v1/Workload',
    'no image is stated for reviews-v1',
  ],
  [
    'MW1139',
    'half a replica',
    () => serving({ workload: { ...workload, replicas: 0.5 } }),
    'shop/reviews/Workload',
    'the number of replicas is 0.5; allowed are whole numbers from 0',
  ],
  [
    'MW1140',
    'an environment variable that the service sets',
    () => serving({ workload: { ...workload, env: { PORT: '80' } } }),
    'shop/reviews/Workload',
    'environment variable PORT is set by the service: it holds the port to listen on',
  ],
  [
    'MW1140',
    'an environment variable with a dash',
    () => serving({ workload: { ...workload, env: { 'LOG-LEVEL': 'debug' } } }),
    'shop/reviews/Workload',
    "environment variable 'LOG-LEVEL' has an invalid name; allowed are letters, digits and underscores, no digit first",
  ],
  [
    'MW1141',
    'a call to a service of another tree',
    () => serving({ calls: [elsewhere()] }),
    'shop/reviews',
    'it calls other/stranger, which is in another tree',
  ],
  [
    'MW1142',
    'a selector that is no label',
    () => Service.fromSelector(emptyMesh(), 'reviews', { ports: http, selector: { app: 'my reviews' } }),
    'shop/reviews',
    "label 'app'='my reviews' is invalid; allowed are up to 63 letters, digits, dashes, dots and underscores, a letter or digit at both ends",
  ],
  [
    'MW1142',
    'a selector that selects nothing',
    () => Service.fromSelector(emptyMesh(), 'reviews', { ports: http, selector: {} }),
    'shop/reviews',
    'its selector is empty and would select no pods',
  ],
  [
    'MW1143',
    'a version named twice',
    () => Service.fromName(emptyMesh(), 'reviews', { ports: http, versions: ['v1', 'v1'] }),
    'shop/reviews',
    'version v1 is named twice',
  ],
  [
    'MW1231',
    'a route without rules',
    () => {
      const { mesh, reviews } = smallMesh();
      return new Route(mesh, 'route', { parent: reviews, rules: [] });
    },
    'shop/route',
    'it has no rules',
  ],
  ['MW1232', 'a rule without targets', () => forwarding(() => ({ to: [] })), 'shop/route', 'rule-0 has no target'],
  [
    'MW1233',
    'a negative weight',
    () => forwarding((reviews) => ({ name: 'split', to: reviews.split({ v1: 110, v2: -10 }) })),
    'shop/route',
    'split: the weight of reviews-v2 is -10; allowed are whole numbers from 0 to 1000000',
  ],
  [
    'MW1234',
    'weights that are all zero',
    () => forwarding((reviews) => ({ to: reviews.split({ v1: 0, v2: 0 }) })),
    'shop/route',
    'rule-0: all weights are 0, so nothing would get the requests',
  ],
  [
    'MW1235',
    'a route to a service of another tree',
    () => forwarding(() => ({ to: elsewhere() })),
    'shop/route',
    'rule-0: target stranger is other/stranger, which is in another tree',
  ],
  [
    'MW1235',
    'a mirror of another tree',
    () => forwarding((reviews) => ({ to: reviews, mirror: { to: elsewhere() } })),
    'shop/route',
    'rule-0: mirror stranger is other/stranger, which is in another tree',
  ],
  [
    'MW1235',
    'a route on a gateway of another tree',
    () => {
      const { mesh, web } = smallMesh();
      const gateway = new Gateway(emptyMesh(), 'edge', { listeners: { http: { port: 80 } } });
      return new Route(mesh, 'route', { parent: gateway, rules: [{ to: web }] });
    },
    'shop/route',
    'it is attached to shop/edge, which is in another tree',
  ],
  [
    'MW1236',
    'a target with two ports, none of which is named',
    () => {
      const { mesh, web } = smallMesh();
      const two = new Service(mesh, 'two', { ports: { a: Port.http(1), b: Port.http(2) }, workload });
      return new Route(mesh, 'route', { parent: web, rules: [{ to: two }] });
    },
    'shop/route',
    'rule-0: target two has the ports a, b and none is named',
  ],
  [
    'MW1237',
    'a target that speaks tcp',
    () => {
      const { mesh, web } = smallMesh();
      const store = new Service(mesh, 'store', { ports: { db: Port.tcp(6379) }, workload });
      return new Route(mesh, 'route', { parent: web, rules: [{ to: store }] });
    },
    'shop/route',
    'rule-0: target store: port db speaks tcp; this route is for http and http2',
  ],
  [
    'MW1237',
    'a parent that speaks tcp, past the compiler',
    () => {
      const { mesh, web } = smallMesh();
      const store = new Service(mesh, 'store', { ports: { db: Port.tcp(6379) }, workload });
      return new Route(mesh, 'route', { parent: store as never, rules: [{ to: web }] });
    },
    'shop/route',
    'port db of store speaks tcp; this route is for http and http2',
  ],
  [
    'MW1238',
    'two rules of one route that match the same',
    () =>
      forwarding((reviews) => ({
        to: reviews,
        match: Match.anyOf(
          [],
          [Path.prefix('/'), Header.is('A', '1'), Header.is('b', '2')],
          [Header.is('b', '2'), Header.is('a', '1')],
        ),
      })),
    'shop/route',
    'rule-0 matches the same requests on Service shop/reviews:8080 as rule-0 of shop/route',
  ],
  [
    'MW1238',
    'two routes that match the same',
    () => {
      const { mesh, reviews } = smallMesh();
      new Route(mesh, 'one', {
        parent: reviews,
        rules: [{ match: [Path.prefix('/a')], to: reviews }, { to: reviews }],
      });
      return new Route(mesh, 'two', {
        parent: reviews.port('http'),
        rules: [{ match: [Path.prefix('/a/')], to: reviews }],
      });
    },
    'shop/two',
    'rule-0 matches the same requests on Service shop/reviews:8080 as rule-0 of shop/one',
  ],
  [
    'MW1239',
    'two routes neither of which is more specific',
    () => {
      const { mesh, reviews } = smallMesh();
      new Route(mesh, 'one', {
        parent: reviews,
        rules: [{ match: [Header.is('x', '1')], to: reviews }, { to: reviews }],
      });
      return new Route(mesh, 'two', { parent: reviews, rules: [{ match: [Header.is('y', '1')], to: reviews }] });
    },
    'shop/two',
    'a request may match both rule-0 and rule-0 of shop/one, and neither is more specific',
  ],
  [
    'MW1240',
    'a route that leaves requests without a rule',
    () => forwarding((reviews) => ({ match: [Path.prefix('/api')], to: reviews })),
    'shop/route',
    'no rule on Service shop/reviews:8080 matches all requests; those that none matches are answered 404',
  ],
  [
    'MW1241',
    'a path without a slash',
    () => matching(Path.prefix('api')),
    'shop/route',
    "rule-0: path 'api' does not begin with /",
  ],
  [
    'MW1241',
    'a path that no normalised path equals',
    () => matching(Path.exact('/a/../b')),
    'shop/route',
    "rule-0: path '/a/../b' holds . or .. segments, which the mesh resolves before it compares",
  ],
  [
    'MW1241',
    'a rewrite to something that is no path',
    () => forwarding((reviews) => ({ to: reviews, rewrite: { path: PathChange.full('https://example.com') } })),
    'shop/route',
    "rule-0: rewrite: path 'https://example.com' does not begin with /",
  ],
  [
    'MW1241',
    'a gRPC method that no protocol buffer can have',
    () => {
      const mesh = emptyMesh();
      const pricing = new Service(mesh, 'pricing', { ports: { grpc: Port.grpc(7000) }, workload });
      const match = [GrpcMethod.is('shop/Pricing')];
      return new GrpcRoute(mesh, 'route', { parent: pricing, rules: [{ match, to: pricing }, { to: pricing }] });
    },
    'shop/route',
    "rule-0: gRPC method 'shop/Pricing' is invalid; allowed are names of protocol buffers",
  ],
  [
    'MW1242',
    'a header name with a space',
    () => matching(Header.is('x canary', 'always')),
    'shop/route',
    "rule-0: header name 'x canary' is invalid; allowed are letters, digits and !#$%&'*+-.^_|~",
  ],
  [
    'MW1242',
    'a header that is set twice',
    () => forwarding((reviews) => ({ to: reviews, requestHeaders: { set: { 'X-A': '1', 'x-a': '2' } } })),
    'shop/route',
    "rule-0: requestHeaders: header 'x-a' is in `set` twice",
  ],
  [
    'MW1242',
    'a query parameter without a value',
    () => matching(Query.is('page', '')),
    'shop/route',
    "rule-0: the condition on query 'page' has an empty value",
  ],
  [
    'MW1243',
    'a regular expression that could take for ever',
    () => matching(Path.regex('/(a+)+')),
    'shop/route',
    expect.stringContaining("rule-0: path: the regular expression '/(a+)+' is refused: ") as unknown as string,
  ],
  [
    'MW1243',
    'a regular expression that does not compile',
    () => matching(Header.regex('x-user', '(')),
    'shop/route',
    expect.stringContaining("rule-0: header x-user: the regular expression '(' is refused: ") as unknown as string,
  ],
  [
    'MW1244',
    'two methods at once',
    () => matching(Method.is('GET'), Method.is('POST')),
    'shop/route',
    'rule-0: two conditions are on the method, of which one request has only one',
  ],
  [
    'MW1245',
    'a timeout of nothing',
    () => forwarding((reviews) => ({ to: reviews, timeout: Duration.seconds(0) })),
    'shop/route',
    'rule-0: timeout is 0 ms; allowed are whole milliseconds from 1 ms to 99999 hours',
  ],
  [
    'MW1245',
    'a try that may take longer than all tries',
    () => forwarding((reviews) => ({ to: reviews, timeout: Duration.seconds(1), backendTimeout: Duration.seconds(2) })),
    'shop/route',
    'rule-0: one try may take 2000 ms, longer than all tries together (1000 ms)',
  ],
  [
    'MW1246',
    'no retry at all',
    () => forwarding((reviews) => ({ to: reviews, retry: { attempts: 0 } })),
    'shop/route',
    'rule-0: the number of retry attempts is 0; allowed are whole numbers from 1 to 100',
  ],
  [
    'MW1246',
    'a retry of what succeeded',
    () => forwarding((reviews) => ({ to: reviews, retry: { attempts: 1, codes: [200] } })),
    'shop/route',
    'rule-0: 200 cannot be retried; allowed are status codes from 400 to 599',
  ],
  [
    'MW1200',
    'an origin with a path',
    () => forwarding((reviews) => ({ to: reviews, cors: { allowOrigins: ['https://shop.example/'] } })),
    'shop/route',
    "rule-0: 'https://shop.example/' is no origin; allowed are a scheme, http or https, a host and a port, without a path",
  ],
  [
    'MW1200',
    'an origin with a port that there is not',
    () => forwarding((reviews) => ({ to: reviews, cors: { allowOrigins: ['http://localhost:70000'] } })),
    'shop/route',
    "rule-0: 'http://localhost:70000' is no origin; allowed are a scheme, http or https, a host and a port, without a path",
  ],
  [
    'MW1200',
    'no origin at all',
    () => forwarding((reviews) => ({ to: reviews, cors: { allowOrigins: [] } })),
    'shop/route',
    'rule-0: allowOrigins is empty, so that no page may call',
  ],
  [
    'MW1200',
    'all headers in a list of some',
    () => forwarding((reviews) => ({ to: reviews, cors: { allowOrigins: '*', allowHeaders: ['x-a', '*'] } })),
    'shop/route',
    "rule-0: allowHeaders has '*' in a list; it stands for all",
  ],
  [
    'MW1200',
    'an origin named twice',
    () =>
      forwarding((reviews) => ({ to: reviews, cors: { allowOrigins: ['https://a.example', 'https://a.example'] } })),
    'shop/route',
    "rule-0: allowOrigins has 'https://a.example' twice",
  ],
  [
    'MW1200',
    'a preflight kept for half a second',
    () => forwarding((reviews) => ({ to: reviews, cors: { allowOrigins: '*', maxAge: Duration.millis(500) } })),
    'shop/route',
    'rule-0: cors.maxAge is 0.5 s; allowed are whole seconds from 1 to 2147483647',
  ],
  [
    'MW1242',
    'a name that no header has, exposed to other origins',
    () => forwarding((reviews) => ({ to: reviews, cors: { allowOrigins: '*', exposeHeaders: ['a b'] } })),
    'shop/route',
    "rule-0: cors.exposeHeaders: header name 'a b' is invalid; allowed are letters, digits and !#$%&'*+-.^_|~",
  ],
  [
    'MW1247',
    'a redirect to itself',
    () => routed({ match: [Path.exact('/x')], redirect: {} }),
    'shop/route',
    'rule-0 redirects every request to itself',
  ],
  [
    'MW1248',
    'a prefix replaced where none is matched',
    () => routed({ match: [Path.exact('/old')], redirect: { path: PathChange.prefix('/new') } }),
    'shop/route',
    "rule-0: redirect: PathChange.prefix('/new') replaces what Path.prefix matched, but the rule has no Path.prefix",
  ],
  [
    'MW1249',
    'more than everything mirrored',
    () => forwarding((reviews) => ({ to: reviews, mirror: { to: reviews.version('v2'), percent: 101 } })),
    'shop/route',
    'rule-0: the mirrored share is 101 %; allowed are whole numbers from 0 to 100',
  ],
  [
    'MW1250',
    'a host with a scheme',
    () => routed({ match: [Path.exact('/x')], redirect: { host: 'https://example.com' } }),
    'shop/route',
    "host name 'https://example.com' is invalid; allowed are lower-case DNS names, with *. in front for all names below one",
  ],
  [
    'MW1250',
    'a host for requests inside the mesh',
    () => {
      const { mesh, reviews } = smallMesh();
      return new Route(mesh, 'route', {
        parent: reviews,
        hostnames: ['reviews.example.com'],
        rules: [{ to: reviews }],
      });
    },
    'shop/route',
    'host names reviews.example.com mean nothing in the mesh, where reviews itself is the host',
  ],
  [
    'MW1251',
    'a target in another namespace',
    () =>
      forwarding((reviews) => ({
        to: Service.fromName(reviews, 'legacy', { ports: http, namespace: 'old' }),
      })),
    'shop/route',
    'rule-0: target legacy is in namespace old, the route in shop',
  ],
  [
    'MW1252',
    'two rules of one name',
    () => routed({ name: 'rest', match: [Path.exact('/x')], redirect: { host: 'example.com' } }),
    'shop/route',
    "rule name 'rest' is used twice",
  ],
  ['MW1331', 'a policy without rules', () => guarded(), 'shop/access', 'it has no rules'],
  [
    'MW1332',
    'a rule that names nobody',
    () => guarded(Access.allow({ from: [] })),
    'shop/access',
    'rule-0: `from` is empty, so it names nobody',
  ],
  [
    'MW1333',
    'a caller whose identity is not known',
    () => {
      const mesh = emptyMesh();
      const legacy = Service.fromName(mesh, 'legacy', { ports: http });
      return new AccessPolicy(mesh, 'other', {
        target: legacy,
        rules: [Access.allow({ name: 'old', from: [legacy] })],
      });
    },
    'shop/other',
    'old: the service accounts of shop/legacy are not known',
  ],
  [
    'MW1334',
    'a caller of another tree',
    () => guarded(Access.allow({ from: [elsewhere()] })),
    'shop/access',
    'rule-0: it names other/stranger, which is in another tree',
  ],
  [
    'MW1334',
    'a policy for a service of another tree',
    () =>
      new AccessPolicy(emptyMesh(), 'access', {
        target: elsewhere(),
        rules: [Access.allow({ from: [Caller.anyone()] })],
      }),
    'shop/access',
    'it is attached to other/stranger, which is in another tree',
  ],
  [
    'MW1335',
    'two ways to balance one service',
    () => {
      const { mesh, reviews } = smallMesh();
      new LoadBalancingPolicy(mesh, 'one', { target: reviews, algorithm: LoadBalancing.roundRobin() });
      return new LoadBalancingPolicy(mesh, 'two', { target: reviews, algorithm: LoadBalancing.leastRequest() });
    },
    'shop/two',
    'shop/one already says how the endpoints of reviews are chosen',
  ],
  [
    'MW1336',
    'an operation that restricts nothing',
    () => guarded(Access.allow({ from: [Caller.authenticated()], to: [{}] })),
    'shop/access',
    'rule-0: an operation states neither methods nor paths',
  ],
  [
    'MW1337',
    'a declared call that is never allowed',
    () => {
      const { mesh, reviews } = smallMesh();
      new AccessPolicy(mesh, 'access', { target: reviews, rules: [Access.allow({ from: [Caller.namespace('ops')] })] });
      return mesh;
    },
    'shop/web',
    'it calls shop/reviews, but shop/access does not let it',
  ],
  [
    'MW1338',
    'a method on a tcp port',
    () => {
      const mesh = emptyMesh();
      const store = new Service(mesh, 'store', { ports: { db: Port.tcp(6379) }, workload });
      const rules = [Access.allow({ from: [Caller.authenticated()], to: [{ methods: ['GET'] }] })];
      return new AccessPolicy(mesh, 'access', { target: store, rules });
    },
    'shop/access',
    'rule-0: store speaks tcp, which has no methods and paths',
  ],
  [
    'MW1339',
    'a policy for a service of another namespace',
    () => {
      const mesh = emptyMesh();
      const legacy = Service.fromName(mesh, 'legacy', { ports: http, namespace: 'old' });
      return new LoadBalancingPolicy(mesh, 'balance', { target: legacy, algorithm: LoadBalancing.roundRobin() });
    },
    'shop/balance',
    'it is in namespace shop, but attached to a service of old; a policy holds for its own namespace only',
  ],
  [
    'MW1431',
    'a gateway without listeners',
    () => {
      const { mesh, web } = smallMesh();
      const gateway = new Gateway(mesh, 'edge', { listeners: {} });
      new Route(mesh, 'route', { parent: gateway, rules: [{ to: web }] });
      return mesh;
    },
    'shop/edge',
    'it has no listeners',
  ],
  [
    'MW1432',
    'two listeners for the same requests',
    () => {
      const { mesh, web } = smallMesh();
      const gateway = new Gateway(mesh, 'edge', { listeners: { a: { port: 80 }, b: { port: 80 } } });
      new Route(mesh, 'route', { parent: gateway, rules: [{ to: web }] });
      return mesh;
    },
    'shop/edge',
    'listeners a and b both take requests for all hosts on port 80',
  ],
  [
    'MW1412',
    'listeners of one port of which one takes PROXY headers',
    () => {
      const { mesh, web } = smallMesh();
      const gateway = new Gateway(mesh, 'edge', {
        listeners: { a: { port: 80, hostname: 'a.example', proxyProtocol: true }, b: { port: 80 } },
      });
      return new Route(mesh, 'route', { parent: gateway, rules: [{ to: web }] });
    },
    'shop/edge',
    'of listeners a and b, which share port 80, one takes PROXY headers and the other does not',
  ],
  [
    'MW1433',
    'a gateway without routes',
    () => new Gateway(emptyMesh(), 'edge', { listeners: { http: { port: 80 } } }),
    'shop/edge',
    'no route is attached to it; it answers 404 to everything',
  ],
];

describe('a mistake is found before anything is written', () => {
  test.each(cases)('%s: %s', (id, _title, define, construct, message) => {
    expect(validate(define())).toEqual([
      expect.objectContaining({ id, construct, message, hint: expect.stringMatching(/^[a-z].*[^.]$/) }),
    ]);
  });
});

test('a tree without mistakes has no findings', () => {
  expect(validate(smallMesh().mesh)).toEqual([]);
});

test('all mistakes are found at once, in the order of the tree', () => {
  const mesh = new Mesh(new App(), 'shop', { trustDomain: '!' });
  const reviews = new Service(mesh, 'Reviews', { ports: { http: Port.http(0) } });
  new Route(reviews, 'route', { parent: reviews, rules: [] });
  expect(validate(mesh).map(({ id }) => id)).toEqual(['MW1131', 'MW1132', 'MW1135', 'MW1138', 'MW1132', 'MW1231']);
});

describe('a finding that is no error can be acknowledged', () => {
  function leavingRequests() {
    const { mesh, reviews } = smallMesh();
    const team = new Construct(mesh, 'team');
    const route = new Route(team, 'route', { parent: reviews, rules: [{ match: [Path.prefix('/a')], to: reviews }] });
    return { mesh, team, route };
  }

  test('for the construct it is about', () => {
    const { mesh, route } = leavingRequests();
    acknowledge(route, 'MW1240', 'unknown paths shall be 404');
    expect(validate(mesh)).toEqual([]);
  });

  test('for all that is inside of a construct', () => {
    const { mesh, team } = leavingRequests();
    acknowledge(team, 'MW1240', 'unknown paths shall be 404');
    expect(validate(mesh)).toEqual([]);
  });

  test('and no other finding is', () => {
    const { mesh, route } = leavingRequests();
    acknowledge(route, 'MW1239', 'not the one that is found');
    expect(validate(mesh)).toHaveLength(1);
  });
});

test('rules of one route may overlap, as their order decides', () => {
  const { mesh, reviews } = smallMesh();
  new Route(mesh, 'route', {
    parent: reviews,
    rules: [
      { match: [Header.is('x', '1')], to: reviews },
      { match: [Header.is('y', '1')], to: reviews },
      { to: reviews },
    ],
  });
  expect(validate(mesh)).toEqual([]);
});

test('routes whose conditions exclude each other do not compete', () => {
  const { mesh, reviews } = smallMesh();
  new Route(mesh, 'one', { parent: reviews, rules: [{ match: [Header.is('x', '1')], to: reviews }, { to: reviews }] });
  new Route(mesh, 'two', { parent: reviews, rules: [{ match: [Header.is('x', '2')], to: reviews }] });
  expect(validate(mesh)).toEqual([]);
});

test('routes on different hosts of a gateway do not compete', () => {
  const { mesh, web } = smallMesh();
  const gateway = new Gateway(mesh, 'edge', { listeners: { http: { port: 80 } } });
  new Route(mesh, 'one', { parent: gateway, hostnames: ['a.example'], rules: [{ to: web }] });
  new Route(mesh, 'two', { parent: gateway, hostnames: ['b.example'], rules: [{ to: [Target.weighted(web, 1)] }] });
  expect(validate(mesh)).toEqual([]);
});
