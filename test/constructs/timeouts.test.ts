import { describe, expect, test } from '@jest/globals';
import { Duration, Path, Port, Route, Service, TimeoutPolicy, validate } from 'meshwright';
import { simulate } from 'meshwright/testing';
import { parseObject } from '../../runtime/resources/index.ts';
import { objectsOf, smallMesh, workload } from './given.ts';

function routed() {
  const given = smallMesh();
  const { mesh, reviews } = given;
  const rules = [
    { name: 'slow', match: [Path.prefix('/slow')], to: reviews.version('v1'), timeout: Duration.seconds(9) },
    { name: 'split', to: reviews.split({ v1: 1, v2: 1 }) },
  ];
  return { ...given, route: new Route(mesh, 'split', { parent: reviews, rules }) };
}

const complaints = (mesh: Parameters<typeof validate>[0]) =>
  validate(mesh).map(({ id, message }) => `${id} ${message}`);

describe('a timeout policy', () => {
  test('becomes an object that the controller reads', () => {
    const { mesh, reviews, route } = routed();
    new TimeoutPolicy(mesh, 'ports', { target: reviews.port('http'), request: Duration.millis(1500) });
    new TimeoutPolicy(mesh, 'rule', { target: route.rule('slow'), streamIdle: Duration.seconds(0) });
    new TimeoutPolicy(mesh, 'whole', {
      target: route,
      backendRequest: Duration.seconds(1),
      maxStreamDuration: Duration.hours(2),
    });
    const { ports, rule, whole } = objectsOf(mesh, 'TimeoutPolicy');
    for (const object of [ports, rule, whole]) expect(parseObject(object, 'test').findings).toBeUndefined();
    const service = { group: '', kind: 'Service', name: 'reviews', sectionName: 'http' };
    expect(ports.spec).toEqual({ targetRefs: [service], request: '1s500ms' });
    const target = { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'split' };
    expect(rule.spec).toEqual({ targetRefs: [{ ...target, sectionName: 'slow' }], streamIdle: '0s' });
    expect(whole.spec).toEqual({ targetRefs: [target], backendRequest: '1s', maxStreamDuration: '2h' });
    expect(validate(mesh)).toEqual([]);
  });

  test('is what simulate says: of each limit the one that stands nearest', () => {
    const { mesh, reviews, web, route } = routed();
    const seconds = (length: number) => Duration.seconds(length);
    new TimeoutPolicy(mesh, 'asked', { target: reviews, request: seconds(1), streamIdle: seconds(2) });
    new TimeoutPolicy(mesh, 'v1', { target: reviews.version('v1'), streamIdle: seconds(3) });
    new TimeoutPolicy(mesh, 'whole', { target: route, backendRequest: seconds(4), request: seconds(5) });
    new TimeoutPolicy(mesh, 'rule', { target: route.rule('slow'), backendRequest: seconds(6) });
    expect(simulate(mesh, { from: web, to: reviews, path: '/slow' }).timeouts).toEqual({
      request: 9000,
      backendRequest: 6000,
      streamIdle: 3000,
    });
    const split = simulate(mesh, { from: web, to: reviews });
    expect(split.timeouts).toEqual({ request: 5000, backendRequest: 4000 });
    expect(split.decision.targets.map(({ timeouts }) => timeouts)).toEqual([
      { request: 5000, backendRequest: 4000, streamIdle: 3000 },
      { request: 5000, backendRequest: 4000, streamIdle: 2000 },
    ]);
    expect(simulate(mesh, { to: reviews }).timeouts).toEqual({});
  });

  test.each<[string, Record<string, Duration>, string]>([
    ['nothing', {}, 'MW1321 it limits nothing'],
    [
      'half a millisecond',
      { request: Duration.millis(0.5) },
      'MW1321 request is 0.5 ms; allowed are whole milliseconds up to 99999 hours, and 0 for no limit',
    ],
    [
      'tries longer than all of them',
      { request: Duration.seconds(1), backendRequest: Duration.seconds(2) },
      'MW1321 one try may take 2000 ms, longer than all tries together (1000 ms)',
    ],
  ])('is refused with %s', (_, limits, complaint) => {
    const { mesh, reviews } = smallMesh();
    new TimeoutPolicy(mesh, 'limits', { target: reviews, ...limits });
    expect(complaints(mesh)).toEqual([complaint]);
  });

  test('is about rules that are there, and about what has requests', () => {
    const { mesh, route } = routed();
    const store = new Service(mesh, 'store', { ports: { redis: Port.tcp(6379) }, versions: { v1: workload } });
    new TimeoutPolicy(mesh, 'lost', { target: route.rule('fast'), request: Duration.seconds(1) });
    new TimeoutPolicy(mesh, 'store-limits', { target: store, request: Duration.seconds(1) });
    expect(complaints(mesh)).toEqual([
      'MW1321 shop/split has no rule named fast; its named rules are slow, split',
      'MW1321 service shop/store speaks tcp, which has no requests',
    ]);
  });

  test('is one for each target', () => {
    const { mesh, reviews, route } = routed();
    for (const target of [reviews, route, route.rule('slow')]) {
      for (const name of ['a', 'b']) {
        const request = Duration.seconds(1);
        new TimeoutPolicy(mesh, `${name}${mesh.node.children.length}`, { target, request });
      }
    }
    expect(complaints(mesh).map((complaint) => complaint.replace(/ shop\/[ab]\d+/, ''))).toEqual([
      'MW1322 already limits service shop/reviews',
      'MW1322 already limits HTTPRoute shop/split',
      'MW1322 already limits HTTPRoute shop/split slow',
    ]);
  });
});
