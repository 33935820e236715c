import { describe, expect, test } from '@jest/globals';
import { Duration, Path, Port, RateLimit, RateLimitPolicy, Service, validate } from 'meshwright';
import { meshMatchers, simulate } from 'meshwright/testing';
import { parseObject } from '../../runtime/resources/index.ts';
import { objectsOf, smallMesh, workload } from './given.ts';

expect.extend(meshMatchers);

const second = Duration.seconds(1);

function limited(...limits: RateLimit[]) {
  const given = smallMesh();
  new RateLimitPolicy(given.mesh, 'limits', { target: given.reviews, limits });
  return given;
}

describe('a rate limit policy', () => {
  test('says which answers tell of it', () => {
    const { mesh, reviews } = smallMesh();
    const limits = [RateLimit.total({ requests: 1, interval: second })];
    new RateLimitPolicy(mesh, 'loud', { target: reviews, limits, headers: 'always' });
    new RateLimitPolicy(mesh, 'quiet', { target: reviews, limits, headers: 'on-refusal' });
    const { loud, quiet } = objectsOf(mesh, 'RateLimitPolicy');
    expect(parseObject(loud, 'test').findings).toBeUndefined();
    expect([loud.spec.headers, quiet.spec.headers]).toEqual(['Always', 'OnRefusal']);
  });

  test('becomes an object that the controller reads', () => {
    const { mesh } = limited(
      RateLimit.total({ requests: 100, interval: second, burst: 20 }),
      RateLimit.perCaller({ name: 'each', requests: 10, interval: Duration.minutes(1) }),
      RateLimit.perHeader('X-Api-Key', {
        requests: 5,
        interval: second,
        to: [{ methods: ['POST'], paths: [Path.prefix('/items')] }],
      }),
    );
    const { limits } = objectsOf(mesh, 'RateLimitPolicy');
    expect(parseObject(limits, 'test').findings).toBeUndefined();
    expect(limits.spec).toEqual({
      targetRefs: [{ group: '', kind: 'Service', name: 'reviews' }],
      limits: [
        { name: 'limit-0', requests: 100, interval: '1s', burst: 20 },
        { name: 'each', requests: 10, interval: '1m', key: { caller: true } },
        {
          name: 'limit-2',
          requests: 5,
          interval: '1s',
          key: { header: 'x-api-key' },
          to: [{ methods: ['POST'], paths: [{ type: 'PathPrefix', value: '/items' }] }],
        },
      ],
    });
  });

  test('is shown by simulate, with the limits that count a request and why the others do not', () => {
    const { mesh, reviews, web } = limited(
      RateLimit.perCaller({ name: 'each', requests: 10, interval: second }),
      RateLimit.total({ name: 'writes', requests: 5, interval: second, to: [{ methods: ['POST'] }] }),
    );
    const simulation = simulate(mesh, { from: web, to: reviews });
    expect(simulation).toBeRateLimited();
    expect(simulation).toBeRateLimited('each');
    expect(simulation).not.toBeRateLimited('writes');
    expect(simulation).toAllow();
    expect(simulation.limits).toMatchObject([{ name: 'each', requests: 10, interval: 1000, burst: 10 }]);
    expect(simulation.why).toContain(
      'shop/reviews-v2 does not count it for writes of RateLimitPolicy shop/limits: not so: method is POST',
    );
    expect(simulate(mesh, { from: web, to: reviews, method: 'POST' })).toBeRateLimited('writes');
    expect(simulate(mesh, { from: web, to: web })).not.toBeRateLimited();
  });

  test('of one version leaves the others alone', () => {
    const { mesh, reviews, web } = smallMesh();
    const limits = [RateLimit.total({ requests: 1, interval: second })];
    new RateLimitPolicy(mesh, 'limits', { target: reviews.version('v1'), limits });
    const { decision } = simulate(mesh, { from: web, to: reviews });
    expect(decision.targets[0].receivers.map(({ workload, limits = [] }) => [workload, limits.length])).toEqual([
      ['shop/reviews-v1', 1],
      ['shop/reviews-v2', 0],
    ]);
  });

  test.each<[string, RateLimit[], string]>([
    ['no limits', [], 'MW1340 it has no limits'],
    [
      'no requests',
      [RateLimit.total({ requests: 0, interval: second })],
      'MW1340 limit-0: requests is 0; allowed are whole numbers from 1 to 1000000000',
    ],
    [
      'half a request at once',
      [RateLimit.total({ name: 'slow', requests: 1, burst: 0.5, interval: second })],
      'MW1340 slow: burst is 0.5; allowed are whole numbers from 1 to 1000000000',
    ],
    [
      'more requests than the API server takes',
      [RateLimit.total({ name: 'all', requests: 1_000_000_001, interval: second })],
      'MW1340 all: requests is 1000000001; allowed are whole numbers from 1 to 1000000000',
    ],
    [
      'no time',
      [RateLimit.total({ requests: 1, interval: Duration.seconds(0) })],
      'MW1245 limit-0: interval is 0 ms; allowed are whole milliseconds from 1 ms to 99999 hours',
    ],
    [
      'two limits of one name',
      [
        RateLimit.total({ name: 'one', requests: 1, interval: second }),
        RateLimit.perCaller({ name: 'one', requests: 1, interval: second }),
      ],
      "MW1252 rule name 'one' is used twice",
    ],
    [
      'an operation that restricts nothing',
      [RateLimit.total({ requests: 1, interval: second, to: [{}] })],
      'MW1336 limit-0: an operation states neither methods nor paths',
    ],
  ])('is refused with %s', (_, limits, complaint) => {
    const { mesh } = limited(...limits);
    expect(validate(mesh).map(({ id, message }) => `${id} ${message}`)).toEqual([complaint]);
  });

  test('does not look for headers and methods in a stream of bytes', () => {
    const { mesh } = smallMesh();
    const store = new Service(mesh, 'store', { ports: { db: Port.tcp(6379) }, workload });
    const props = { requests: 1, interval: second };
    new RateLimitPolicy(mesh, 'limits', {
      target: store,
      limits: [RateLimit.perHeader('x', props), RateLimit.total({ ...props, to: [{ methods: ['GET'] }] })],
    });
    expect(validate(mesh).map(({ message }) => message)).toEqual([
      'limit-0: store speaks tcp, which has no headers',
      'limit-1: store speaks tcp, which has no methods and paths',
    ]);
  });
});
