/*
 * What does not compile. Each line below a directive is a mistake users make; `tsc --noEmit` fails where one of them
 * is accepted, and references.test.ts shows the compiler's words.
 */
import {
  Access,
  AccessPolicy,
  App,
  acknowledge,
  Gateway,
  GrpcMethod,
  GrpcRoute,
  Header,
  LoadBalancingPolicy,
  Match,
  Mesh,
  Method,
  Path,
  Port,
  Route,
  Service,
} from 'meshwright';

const mesh = new Mesh(new App(), 'types', { trustDomain: 'types.local' });
const workload = { image: 'example/service:1' };

const reviews = new Service(mesh, 'reviews', {
  ports: { http: Port.http(9080), admin: Port.http(9090) },
  workload,
  versions: { v1: {}, v2: { replicas: 2 } },
});
const ratings = new Service(mesh, 'ratings', { ports: { http: Port.http(9080) }, workload });
const pricing = new Service(mesh, 'pricing', { ports: { grpc: Port.grpc(7000) }, workload });
const mixed = new Service(mesh, 'mixed', { ports: { http: Port.http(80), db: Port.tcp(5432) }, workload });
const legacy = Service.fromName(mesh, 'legacy', { ports: { http: Port.http(80) }, versions: ['blue', 'green'] });
const open = { allowOrigins: '*' } as const;
const gateway = new Gateway(mesh, 'edge', { listeners: { http: { port: 80 } } });

export function compiles(): void {
  reviews.version('v2');
  reviews.port('admin');
  reviews.split({ v1: 9, v2: 1 });
  reviews.split({ v1: 1 });
  legacy.version('green');
  gateway.listener('http');
  // Two services may call each other.
  reviews.calls(ratings);
  ratings.calls(reviews);
  new Route(mesh, 'all', { parent: reviews, rules: [{ to: [reviews.version('v1'), legacy] }] });
  new Route(mesh, 'one', { parent: mixed.port('http'), rules: [{ to: mixed.port('http') }] });
  new Route(mesh, 'way-in', { parent: gateway.listener('http'), rules: [{ to: legacy.split({ blue: 1 }) }] });
  new GrpcRoute(mesh, 'calls', { parent: pricing, rules: [{ match: [GrpcMethod.is('a.B')], to: pricing }] });
  new AccessPolicy(mesh, 'access', {
    target: reviews.port('http'),
    rules: [Access.allow({ from: [legacy, gateway, reviews.version('v1')] })],
  });
  acknowledge(mesh, 'MW1240', 'unknown paths shall be 404');
}

export function doesNotCompile(): void {
  // @ts-expect-error a version that is not there
  reviews.version('v3');
  // @ts-expect-error a version of a service without versions
  ratings.version('v1');
  // @ts-expect-error a version the existing service does not have
  legacy.version('red');
  // @ts-expect-error a port that is not there
  reviews.port('grpc');
  // @ts-expect-error a listener that is not there
  gateway.listener('https');
  // @ts-expect-error a weight for a version that is not there
  reviews.split({ v1: 90, v3: 10 });
  // @ts-expect-error weights of a service without versions
  ratings.split({ v1: 100 });
  // @ts-expect-error a weight that is not a number
  reviews.split({ v1: '90%' });
  // @ts-expect-error a gRPC route on an HTTP port
  new GrpcRoute(mesh, 'x', { parent: ratings.port('http'), rules: [{ to: ratings }] });
  // @ts-expect-error a gRPC route on a service of HTTP ports
  new GrpcRoute(mesh, 'x', { parent: ratings, rules: [{ to: ratings }] });
  // @ts-expect-error a gRPC route on a gateway
  new GrpcRoute(mesh, 'x', { parent: gateway, rules: [{ to: pricing }] });
  // @ts-expect-error an HTTP route on a TCP port
  new Route(mesh, 'x', { parent: mixed.port('db'), rules: [{ to: reviews }] });
  // @ts-expect-error an HTTP route on a service one port of which is TCP
  new Route(mesh, 'x', { parent: mixed, rules: [{ to: reviews }] });
  // @ts-expect-error an HTTP route on a gRPC port
  new Route(mesh, 'x', { parent: pricing, rules: [{ to: pricing }] });
  // @ts-expect-error a rule that neither sends on nor redirects
  new Route(mesh, 'x', { parent: reviews, rules: [{ match: [Path.prefix('/')] }] });
  // @ts-expect-error a rule that does both
  new Route(mesh, 'x', { parent: reviews, rules: [{ to: reviews, redirect: { host: 'example.com' } }] });
  // @ts-expect-error an origin without a scheme
  new Route(mesh, 'x', { parent: reviews, rules: [{ to: reviews, cors: { allowOrigins: ['shop.example'] } }] });
  // @ts-expect-error a method that is none, for other origins
  new Route(mesh, 'x', { parent: ratings, rules: [{ to: ratings, cors: { ...open, allowMethods: ['put'] } }] });
  // @ts-expect-error a status of gRPC that there is not
  new GrpcRoute(mesh, 'x', { parent: pricing, rules: [{ to: pricing, retry: { attempts: 1, statuses: ['GONE'] } }] });
  // @ts-expect-error a redirect that is retried
  new Route(mesh, 'x', { parent: reviews, rules: [{ redirect: { host: 'a.example' }, retry: { attempts: 1 } }] });
  // @ts-expect-error a condition on a method in a gRPC route
  new GrpcRoute(mesh, 'x', { parent: pricing, rules: [{ match: [Method.is('GET')], to: pricing }] });
  // @ts-expect-error the same as an alternative
  new GrpcRoute(mesh, 'x', { parent: pricing, rules: [{ match: Match.anyOf([Method.is('GET')]), to: pricing }] });
  // @ts-expect-error a method that does not exist
  Method.is('GRAB');
  // @ts-expect-error a header without a value
  Header.is('x-canary');
  // @ts-expect-error a target by name
  new Route(mesh, 'x', { parent: reviews, rules: [{ to: 'reviews' }] });
  // @ts-expect-error a caller by name
  Access.allow({ from: ['web'] });
  // @ts-expect-error a rule that does not say who calls
  Access.deny({ to: [{ methods: ['DELETE'] }] });
  // @ts-expect-error a policy on a gateway
  new AccessPolicy(mesh, 'x', { target: gateway, rules: [] });
  // @ts-expect-error an algorithm that does not exist
  new LoadBalancingPolicy(mesh, 'x', { target: reviews, algorithm: 'random' });
  // @ts-expect-error a port without a protocol
  new Service(mesh, 'x', { ports: { http: 8080 }, workload });
  // @ts-expect-error a service without ports
  new Service(mesh, 'x', { workload });
  // @ts-expect-error an mTLS mode that does not exist
  new Mesh(new App(), 'x', { trustDomain: 'x.local', mtls: 'off' });
  // @ts-expect-error an error cannot be acknowledged
  acknowledge(mesh, 'MW1238', 'I know better');
}
