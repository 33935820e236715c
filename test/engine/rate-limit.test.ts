import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  compileRateLimits,
  explainRateLimits,
  normalizePath,
  type RateLimiter,
  type RateLimitRequest,
  rateLimitFields,
} from '../../runtime/engine/index.ts';
import type { Clock, ObjectReference, RateLimit, SpiffeId } from '../../runtime/model/index.ts';
import { createClock, prefix } from './fixtures.ts';

const policy: ObjectReference = { kind: 'RateLimitPolicy', namespace: 'shop', name: 'cart' };
const ports = [{ port: 80, protocol: 'http' }] as const;
const caller = (serviceAccount: string): SpiffeId => ({ trustDomain: 'shop.local', namespace: 'shop', serviceAccount });
const get = (path: string, rest: Partial<RateLimitRequest> = {}): RateLimitRequest => ({
  principal: caller('web'),
  method: 'GET',
  path: normalizePath(path),
  headers: [],
  ...rest,
});

function limit(rest: Partial<RateLimit> = {}): RateLimit {
  return { name: 'all', requests: 10, interval: 1000, burst: 10, key: { kind: 'total' }, to: [], ...rest };
}

function limiterOf(limits: readonly RateLimit[], clock: Clock = createClock()): RateLimiter {
  return compileRateLimits([{ policy, limits }], ports, clock).get(80)!;
}

/** How many of so many requests at one moment are admitted. */
function admitted(limiter: RateLimiter, count: number, request = get('/')): number {
  return Array.from({ length: count }, () => limiter.admit(request)).filter((refusal) => !refusal).length;
}

describe('a rate limit', () => {
  test('lets a burst through, then as much as time gives back', () => {
    const clock = createClock();
    const limiter = limiterOf([limit({ requests: 30, burst: 7 })], clock);
    expect(admitted(limiter, 20)).toBe(7);
    clock.advance(100);
    expect(admitted(limiter, 20)).toBe(3);
    clock.advance(60_000);
    expect(admitted(limiter, 20)).toBe(7);
  });

  test('never admits more than its burst and what time gives back, and never less when asked often', () => {
    const given = fc.record({
      requests: fc.integer({ min: 1, max: 5000 }),
      interval: fc.integer({ min: 1, max: 100_000 }),
      burst: fc.integer({ min: 1, max: 50 }),
      steps: fc.array(fc.double({ min: 0, max: 200, noNaN: true }), { maxLength: 300 }),
    });
    fc.assert(
      fc.property(given, ({ requests, interval, burst, steps }) => {
        const clock = createClock();
        const limiter = limiterOf([limit({ requests, interval, burst })], clock);
        let tokens = burst;
        for (const step of steps) {
          clock.advance(step);
          tokens = Math.min(burst, tokens + (step * requests) / interval);
          const refusal = limiter.admit(get('/'));
          // Between the two, rounding decides.
          if (tokens < 1 - 1e-4) expect(refusal).toBeDefined();
          if (tokens > 1 + 1e-4) expect(refusal).toBeUndefined();
          if (!refusal) tokens -= 1;
        }
      }),
    );
  });

  test('says exactly when there is a token again', () => {
    const given = fc.record({
      requests: fc.integer({ min: 1, max: 1000 }),
      interval: fc.integer({ min: 1, max: 100_000 }),
      burst: fc.integer({ min: 1, max: 20 }),
      gap: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(given, ({ requests, interval, burst, gap }) => {
        const clock = createClock();
        const limiter = limiterOf([limit({ requests, interval, burst })], clock);
        admitted(limiter, burst);
        clock.advance((gap * interval) / requests / 2);
        const { retryAfter } = limiter.admit(get('/'))!;
        clock.advance(retryAfter * 0.99);
        expect(limiter.admit(get('/'))).toBeDefined();
        clock.advance(retryAfter * 0.01 + 1e-6);
        expect(limiter.admit(get('/'))).toBeUndefined();
      }),
    );
  });

  test('counts callers apart, those without identity together', () => {
    const limiter = limiterOf([limit({ burst: 2, key: { kind: 'caller' } })]);
    expect(admitted(limiter, 5, get('/'))).toBe(2);
    expect(admitted(limiter, 5, get('/', { principal: caller('reviews') }))).toBe(2);
    expect(admitted(limiter, 5, get('/', { principal: undefined }))).toBe(2);
    expect(admitted(limiter, 5, get('/'))).toBe(0);
  });

  test('counts values of a header apart, requests without it together', () => {
    const limiter = limiterOf([limit({ burst: 2, key: { kind: 'header', name: 'x-api-key' } })]);
    const withKey = (...values: string[]) => get('/', { headers: values.flatMap((value) => ['x-api-key', value]) });
    expect(admitted(limiter, 5, withKey('a'))).toBe(2);
    expect(admitted(limiter, 5, withKey('b'))).toBe(2);
    expect(admitted(limiter, 5, withKey('a', 'b'))).toBe(2);
    expect(admitted(limiter, 1, get('/'))).toBe(1);
    expect(admitted(limiter, 5, get('/', { headers: ['other', 'a'] }))).toBe(1);
  });

  test('remembers a bounded number of keys, forgets the one not used for longest, and no long one', () => {
    const limiter = limiterOf([limit({ burst: 1, key: { kind: 'header', name: 'x' } })]);
    const admits = (value: string) => !limiter.admit(get('/', { headers: ['x', value] }));
    expect([admits('first'), admits('second')]).toEqual([true, true]);
    for (let index = 0; index < 4094; index++) admits(`key ${index}`);
    expect(admits('first')).toBe(false);
    admits('one more');
    expect([admits('first'), admits('second')]).toEqual([false, true]);
    expect([admits('a'.repeat(257)), admits('b'.repeat(300))]).toEqual([true, false]);
  });

  test('counts only what it is about', () => {
    const limiter = limiterOf([limit({ burst: 1, to: [{ methods: ['POST'], paths: [prefix('/items')] }] })]);
    expect(admitted(limiter, 5, get('/items'))).toBe(5);
    expect(admitted(limiter, 5, get('/', { method: 'POST' }))).toBe(5);
    expect(admitted(limiter, 5, get('/items/1', { method: 'POST' }))).toBe(1);
  });

  test('counts a request the path of which servers could read in two ways', () => {
    const limiter = limiterOf([limit({ burst: 1, to: [{ methods: [], paths: [prefix('/items')] }] })]);
    expect(admitted(limiter, 5, get('/x%2f..%2fitems'))).toBe(1);
  });

  test('takes no token of one limit where another one refuses', () => {
    const limiter = limiterOf([
      limit({ name: 'wide', burst: 3 }),
      limit({ name: 'writes', burst: 1, to: [{ methods: ['POST'], paths: [] }] }),
    ]);
    expect(admitted(limiter, 10, get('/', { method: 'POST' }))).toBe(1);
    expect(admitted(limiter, 10)).toBe(2);
  });

  test('names the policy and the limit that refuse', () => {
    const limiter = limiterOf([limit({ name: 'slow', requests: 2, interval: 60_000, burst: 1 })]);
    limiter.admit(get('/'));
    const refusal = limiter.admit(get('/'))!;
    expect(refusal).toMatchObject({ policy, limit: { name: 'slow' } });
    expect(refusal.reason).toBe('limited by slow of RateLimitPolicy shop/cart: 2 in 60 s, up to 1 at once, in total');
    expect(rateLimitFields(refusal)).toEqual([
      ...['retry-after', '30'],
      ...['ratelimit-policy', '"slow";q=2;w=60'],
      ...['ratelimit', '"slow";r=0;t=30'],
    ]);
  });

  test('keeps its buckets when other rules change, and has new ones when it changes itself', () => {
    const clock = createClock();
    const compile = (limits: RateLimit[], former?: ReadonlyMap<number, RateLimiter>) =>
      compileRateLimits([{ policy, limits }], ports, clock, former);
    const before = compile([limit({ burst: 1 })]);
    admitted(before.get(80)!, 1);
    const after = compile([limit({ burst: 1 }), limit({ name: 'new', burst: 5 })], before);
    expect(admitted(after.get(80)!, 5)).toBe(0);
    expect(admitted(compile([limit({ burst: 2 })], after).get(80)!, 5)).toBe(2);
  });

  test('has one bucket for all its ports, and nothing on others', () => {
    const two = [...ports, { port: 81, protocol: 'http' } as const, { port: 82, protocol: 'tcp' } as const];
    const limiters = compileRateLimits(
      [{ policy, ports: [80, 81], limits: [limit({ burst: 3 })] }],
      two,
      createClock(),
    );
    expect([...limiters.keys()]).toEqual([80, 81]);
    expect(admitted(limiters.get(80)!, 2)).toBe(2);
    expect(admitted(limiters.get(81)!, 2)).toBe(1);
  });

  test('explains which limits count a request, and takes no token for it', () => {
    const limiter = limiterOf([
      limit({ name: 'each', burst: 1, key: { kind: 'caller' } }),
      limit({ name: 'writes', to: [{ methods: ['POST'], paths: [] }] }),
    ]);
    const explained = explainRateLimits(limiter, get('/'));
    expect(explained.map(({ limit, counted, reason }) => [limit.name, counted, reason])).toEqual([
      ['each', true, '10 in 1 s, up to 1 at once, for each caller'],
      ['writes', false, 'not so: method is POST'],
    ]);
    expect(limiter.admit(get('/'))).toBeUndefined();
  });
});

describe('the fields of answers that are let through', () => {
  const telling = (limits: readonly RateLimit[], clock: Clock) =>
    compileRateLimits([{ policy, headers: 'always', limits }], ports, clock).get(80)!;

  test('tell of each limit that counts the request what is left, and when all of it is back', () => {
    const clock = createClock();
    const limiter = telling(
      [
        limit({ name: 'all', requests: 60, interval: 60_000, burst: 5 }),
        limit({ name: 'each', requests: 3, interval: 1500, burst: 3, key: { kind: 'caller' } }),
        limit({ name: 'writes', to: [{ methods: ['POST'], paths: [prefix('/')] }] }),
      ],
      clock,
    );
    const told = (request: RateLimitRequest) => {
      expect(limiter.admit(request)).toBeUndefined();
      return limiter.report!(request);
    };
    expect(told(get('/'))).toStrictEqual([
      ...['ratelimit-policy', '"all";q=60;w=60, "each";q=3'],
      ...['ratelimit', '"all";r=4;t=1, "each";r=2;t=1'],
    ]);
    told(get('/'));
    expect(told(get('/', { principal: caller('other') }))[3]).toBe('"all";r=2;t=3, "each";r=2;t=1');
    clock.advance(60_000);
    expect(told(get('/'))[3]).toBe('"all";r=4;t=1, "each";r=2;t=1');
  });

  test('are those of the policies that ask for them, and of no other', () => {
    const quiet = { policy, limits: [limit({ name: 'quiet' })] };
    const loud = { policy: { ...policy, name: 'loud' }, headers: 'always' as const, limits: [limit({ name: 'loud' })] };
    const both = compileRateLimits([quiet, loud], ports, createClock()).get(80)!;
    expect(both.report!(get('/'))[1]).toBe('"loud";q=10;w=1');
    expect(compileRateLimits([quiet], ports, createClock()).get(80)).not.toHaveProperty('report');
  });

  test('are none where no limit counts the request', () => {
    const writes = limit({ to: [{ methods: ['POST'], paths: [prefix('/')] }] });
    expect(telling([writes], createClock()).report!(get('/'))).toStrictEqual([]);
  });
});
