import { describe, expect, test } from '@jest/globals';
import {
  Duration,
  GrpcMethod,
  GrpcRoute,
  Port,
  RetryPolicy,
  Route,
  type RouteRule,
  Service,
  validate,
} from 'meshwright';
import { simulate } from 'meshwright/testing';
import { parseObject } from '../../runtime/resources/index.ts';
import { emptyMesh, objectsOf, smallMesh, workload } from './given.ts';

function grpcMesh() {
  const mesh = emptyMesh();
  const pricing = new Service(mesh, 'pricing', { ports: { calls: Port.grpc(90) }, workload });
  const web = new Service(mesh, 'web', { ports: { http: Port.http(80) }, workload, calls: [pricing] });
  return { mesh, pricing, web };
}

describe('retries of calls', () => {
  test('stand in a policy beside their route, which names the rule', () => {
    const { mesh, pricing, web } = grpcMesh();
    const retry = { attempts: 2, statuses: ['UNAVAILABLE'], backoff: Duration.millis(10) } as const;
    new GrpcRoute(mesh, 'calls', {
      parent: pricing,
      rules: [{ match: [GrpcMethod.is('shop.v1.Pricing', 'Quote')], to: pricing, retry }, { to: pricing }],
    });
    expect(validate(mesh)).toEqual([]);
    const { 'calls-rule-0': policy } = objectsOf(mesh, 'RetryPolicy');
    expect(parseObject(policy, 'test').findings).toBeUndefined();
    expect(policy.spec).toEqual({
      targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'GRPCRoute', name: 'calls', sectionName: 'rule-0' }],
      retry: { attempts: 2, grpcStatuses: ['UNAVAILABLE'], backoff: '10ms' },
    });
    expect(objectsOf(mesh, 'GRPCRoute').calls.spec.rules?.map(({ name }) => name)).toEqual(['rule-0', undefined]);

    const call = (path: string) => simulate(mesh, { from: web, to: pricing, method: 'POST', path });
    expect(call('/shop.v1.Pricing/Quote').retry).toEqual({
      attempts: 2,
      codes: [],
      grpcStatuses: ['UNAVAILABLE'],
      backoff: 10,
    });
    expect(call('/shop.v1.Pricing/Order').retry).toBeUndefined();
  });

  test.each([
    [{ attempts: 0 }, 'rule-0: the number of retry attempts is 0; allowed are whole numbers from 1 to 100'],
    [{ attempts: 1, statuses: [] }, 'rule-0: retry.statuses is empty'],
    [{ attempts: 1, statuses: ['ABORTED', 'ABORTED'] }, 'rule-0: retry.statuses has ABORTED twice'],
    [{ attempts: 1, statuses: ['OK'] }, "rule-0: 'OK' is no status that a call fails with"],
  ])('are checked: %j', (retry, message) => {
    const { mesh, pricing } = grpcMesh();
    new GrpcRoute(mesh, 'calls', { parent: pricing, rules: [{ to: pricing, retry: retry as never }] });
    expect(validate(mesh).map((finding) => finding.message)).toEqual([expect.stringContaining(message)]);
  });
});

describe('a second try', () => {
  const hedged = (rule: Partial<RouteRule>) => {
    const given = smallMesh();
    const { mesh, reviews } = given;
    new Route(mesh, 'route', { parent: reviews, rules: [{ name: 'all', to: reviews, ...rule } as RouteRule] });
    return given;
  };

  test('stands in a policy beside its route, and is simulated for what may be sent twice', () => {
    const { mesh, web, reviews } = hedged({ hedge: { after: Duration.millis(200) } });
    expect(validate(mesh)).toEqual([]);
    expect(objectsOf(mesh, 'RetryPolicy')['route-all'].spec).toEqual({
      targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'route', sectionName: 'all' }],
      hedging: { delay: '200ms' },
    });
    expect(simulate(mesh, { from: web, to: reviews }).hedging).toEqual({ delay: 200 });
    expect(simulate(mesh, { from: web, to: reviews, method: 'POST' }).hedging).toBeUndefined();
  });

  test.each([
    [{ hedge: { after: Duration.millis(0) } }, 'all: hedge.after is 0 ms; allowed are whole milliseconds'],
    [
      { hedge: { after: Duration.seconds(2) }, backendTimeout: Duration.seconds(1) },
      'all: a second try would begin after 2000 ms, when the first is over (1000 ms)',
    ],
  ])('is checked: %j', (rule, message) => {
    const { mesh } = hedged(rule);
    expect(validate(mesh).map((finding) => finding.message)).toEqual([expect.stringContaining(message)]);
  });
});

describe('a retry policy', () => {
  test('becomes an object that the controller reads, and a budget', () => {
    const { mesh, reviews, web } = smallMesh();
    new RetryPolicy(mesh, 'few', {
      target: reviews,
      budget: { percent: 10, interval: Duration.seconds(30) },
      minRetryRate: { count: 2 },
    });
    new RetryPolicy(mesh, 'none', { target: reviews.version('v2') });
    const { few, none } = objectsOf(mesh, 'RetryPolicy');
    expect(parseObject(few, 'test').findings).toBeUndefined();
    expect(few.spec).toEqual({
      targetRefs: [{ group: '', kind: 'Service', name: 'reviews' }],
      retryConstraint: { budget: { percent: 10, interval: '30s' }, minRetryRate: { count: 2 } },
    });
    expect(none.spec.retryConstraint).toEqual({});
    const [target] = simulate(mesh, { from: web, to: reviews }).decision.targets;
    expect(target.retryBudget).toEqual({
      percent: 10,
      interval: 30_000,
      minRetryRate: { count: 2, interval: 1000 },
    });
  });

  test.each([
    [{ budget: { percent: 101 } }, 'budget.percent is 101; allowed are whole numbers from 0 to 100'],
    [{ budget: { interval: Duration.millis(10) } }, 'budget.interval is 10 ms; allowed are 1000 ms to 1 hour'],
    [{ minRetryRate: { count: 0 } }, 'minRetryRate.count is 0; allowed are whole numbers from 1 to 1000000'],
    [
      { minRetryRate: { interval: Duration.hours(2) } },
      'minRetryRate.interval is 7200000 ms; allowed are 1 ms to 1 hour',
    ],
  ])('is checked: %j', (props, message) => {
    const { mesh, reviews } = smallMesh();
    new RetryPolicy(mesh, 'wrong', { target: reviews, ...props });
    expect(validate(mesh)).toMatchObject([{ id: 'MW1390', message }]);
  });

  test('is for a service as a whole, and one is enough', () => {
    const { mesh, reviews } = smallMesh();
    new RetryPolicy(mesh, 'one', { target: reviews });
    new RetryPolicy(mesh, 'port', { target: reviews.port('http') });
    expect(validate(mesh).map(({ message }) => message)).toEqual([
      'a budget is for all ports of reviews, not for http alone',
      'shop/one already says it for reviews',
    ]);
  });
});
