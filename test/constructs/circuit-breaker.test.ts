import { describe, expect, test } from '@jest/globals';
import { CircuitBreakerPolicy, GrpcRoute, Path, Port, Route, Service, validate } from 'meshwright';
import { simulate } from 'meshwright/testing';
import { parseObject } from '../../runtime/resources/index.ts';
import { emptyMesh, http, objectsOf, smallMesh, workload } from './given.ts';

function routed() {
  const given = smallMesh();
  const { mesh, reviews } = given;
  const rules = [
    { name: 'slow', match: [Path.prefix('/slow')], to: reviews.version('v1') },
    { to: reviews.split({ v1: 1, v2: 1 }) },
  ];
  return { ...given, route: new Route(mesh, 'split', { parent: reviews, rules }) };
}

const complaints = (mesh: Parameters<typeof validate>[0]) =>
  validate(mesh).map(({ id, message }) => `${id} ${message}`);

describe('a circuit breaker policy', () => {
  test('becomes an object that the controller reads', () => {
    const { mesh, reviews, route } = routed();
    new CircuitBreakerPolicy(mesh, 'ports', { target: reviews.port('http'), maxConnections: 5, maxRequests: 10 });
    new CircuitBreakerPolicy(mesh, 'rule', { target: route.rule('slow'), maxPendingRequests: 1 });
    new CircuitBreakerPolicy(mesh, 'whole', { target: route, maxRequests: 3 });
    const { ports, rule, whole } = objectsOf(mesh, 'CircuitBreakerPolicy');
    for (const object of [ports, rule, whole]) expect(parseObject(object, 'test').findings).toBeUndefined();
    expect(ports.spec).toEqual({
      targetRefs: [{ group: '', kind: 'Service', name: 'reviews', sectionName: 'http' }],
      maxConnections: 5,
      maxRequests: 10,
    });
    const route_ = { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'split' };
    expect(rule.spec).toEqual({ targetRefs: [{ ...route_, sectionName: 'slow' }], maxPendingRequests: 1 });
    expect(whole.spec).toEqual({ targetRefs: [route_], maxRequests: 3 });
    expect(validate(mesh)).toEqual([]);
  });

  test('is named by simulate: those of the rule, and of the target that it leads to', () => {
    const { mesh, reviews, web, route } = routed();
    new CircuitBreakerPolicy(mesh, 'v2', { target: reviews.version('v2'), maxRequests: 10 });
    new CircuitBreakerPolicy(mesh, 'whole', { target: route, maxRequests: 3 });
    new CircuitBreakerPolicy(mesh, 'rule', { target: route.rule('slow'), maxPendingRequests: 1 });
    const named = (path: string) =>
      simulate(mesh, { from: web, to: reviews, path }).circuitBreakers.map(({ target, limits }) => [target, limits]);
    expect(named('/slow')).toEqual([
      ['HTTPRoute shop/split', { requests: 3 }],
      ['HTTPRoute shop/split slow', { pending: 1 }],
    ]);
    expect(named('/')).toEqual([
      ['HTTPRoute shop/split', { requests: 3 }],
      ['shop/reviews-v2:8080', { requests: 10 }],
    ]);
    expect(simulate(mesh, { from: web, to: reviews }).why).toContain(
      'CircuitBreakerPolicy shop/v2 limits shop/reviews-v2:8080: at most 10 requests under way, for each proxy of its callers',
    );
    expect(simulate(mesh, { to: reviews }).circuitBreakers).toEqual([]);
  });

  test.each<[string, Record<string, number>, string]>([
    ['nothing', {}, 'MW1372 it limits nothing'],
    ['zero', { maxRequests: 0 }, 'MW1372 maxRequests is 0; allowed are whole numbers from 1 to 1000000000'],
    ['less', { maxConnections: -1 }, 'MW1372 maxConnections is -1; allowed are whole numbers from 1 to 1000000000'],
    [
      'a part',
      { maxPendingRequests: 1.5 },
      'MW1372 maxPendingRequests is 1.5; allowed are whole numbers from 1 to 1000000000',
    ],
  ])('is refused with %s', (_, limits, complaint) => {
    const { mesh, reviews } = smallMesh();
    new CircuitBreakerPolicy(mesh, 'limits', { target: reviews, ...limits });
    expect(complaints(mesh)).toEqual([complaint]);
  });

  test('is about rules that are there, and about what they have', () => {
    const { mesh, route } = routed();
    new CircuitBreakerPolicy(mesh, 'lost', { target: route.rule('fast'), maxRequests: 1 });
    new CircuitBreakerPolicy(mesh, 'wide', { target: route, maxConnections: 1 });
    expect(complaints(mesh)).toEqual([
      'MW1372 shop/split has no rule named fast; its named rules are slow',
      'MW1372 a route has no connections of its own to limit',
    ]);
  });

  test('is one for each target', () => {
    const { mesh, reviews, route } = routed();
    for (const target of [reviews, route, route.rule('slow')]) {
      for (const name of ['a', 'b']) {
        new CircuitBreakerPolicy(mesh, `${name}${mesh.node.children.length}`, { target, maxRequests: 1 });
      }
    }
    expect(complaints(mesh).map((complaint) => complaint.replace(/^(MW\d+) \S+/, '$1'))).toEqual([
      'MW1374 already limits service shop/reviews',
      'MW1374 already limits HTTPRoute shop/split',
      'MW1374 already limits HTTPRoute shop/split slow',
    ]);
  });

  test('limits what a protocol has, and routes of gRPC as others', () => {
    const mesh = emptyMesh();
    const tcp = new Service(mesh, 'tcp', { ports: { db: Port.tcp(6379) }, workload });
    const calls = new Service(mesh, 'calls', { ports: { rpc: Port.grpc(90) }, workload });
    const route = new GrpcRoute(mesh, 'quotes', { parent: calls, rules: [{ name: 'all', to: calls }] });
    new CircuitBreakerPolicy(mesh, 'rpc', { target: route.rule('all'), maxRequests: 1 });
    new CircuitBreakerPolicy(mesh, 'streams', { target: tcp, maxRequests: 1 });
    expect(complaints(mesh)).toEqual([
      'MW1372 service shop/tcp speaks tcp, which has connections, but no requests to limit',
    ]);
    expect(objectsOf(mesh, 'CircuitBreakerPolicy').rpc.spec.targetRefs[0].kind).toBe('GRPCRoute');
  });

  test('stays in its tree and its namespace', () => {
    const { mesh } = smallMesh();
    const other = emptyMesh('other');
    const foreign = new Service(other, 'foreign', { ports: http, workload });
    const route = new Route(other, 'route', { parent: foreign, rules: [{ to: foreign }] });
    new CircuitBreakerPolicy(mesh, 'lost', { target: route, maxRequests: 1 });
    expect(complaints(mesh)).toEqual(['MW1334 it is attached to other/route, which is in another tree']);
  });
});
