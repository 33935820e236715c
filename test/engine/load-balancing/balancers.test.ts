import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { EndpointState } from '../../../runtime/engine/index.ts';
import type { Balancer } from '../../../runtime/model/index.ts';
import { createClock } from '../fixtures.ts';
import { balancerOf, endpoint, keys, measure, portOf } from './endpoints.ts';

const spreading: readonly Balancer[] = [
  { kind: 'round-robin' },
  { kind: 'random' },
  { kind: 'least-request' },
  { kind: 'peak-ewma' },
  { kind: 'peak-ewma', slowStart: { window: 10_000 } },
  { kind: 'round-robin', preferSameZone: { minEndpoints: 2 } },
  { kind: 'peak-ewma', session: { name: 'mw', path: '/', sameSite: 'Lax', secure: false } },
  { kind: 'random', panicThreshold: 50 },
];
const hashing: readonly Balancer[] = [
  { kind: 'ring-hash', by: { kind: 'header', name: 'x-user' } },
  { kind: 'maglev', by: { kind: 'source' } },
];
const named = [...spreading, ...hashing].map((settings) => [JSON.stringify(settings), settings] as const);

describe.each(named)('%s', (_name, settings) => {
  test('has nothing to pick where there is no endpoint', () => {
    const balancer = balancerOf(settings, []);
    expect(balancer.pick()).toBeUndefined();
    expect(balancer.pick(undefined, 'key')).toBeUndefined();
    expect([...balancer.shares('key')]).toEqual([]);
  });

  test('picks the only one there is', () => {
    const balancer = balancerOf(settings, [1]);
    expect(portOf(balancer.pick())).toBe(1);
    expect(portOf(balancer.pick(undefined, 'key'))).toBe(1);
  });

  test('never picks what is excluded, and always something else if there is', () => {
    const anyKey = fc.option(fc.string(), { nil: undefined });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(4)), anyKey, (count, excluded, key) => {
        const balancer = balancerOf(settings, [...Array(count).keys()]);
        const exclude = new Set(balancer.endpoints.filter((state) => excluded.includes(portOf(state)!)));
        const picked = balancer.pick(exclude, key);
        expect(picked === undefined).toBe(exclude.size === count);
        if (picked) expect(exclude.has(picked)).toBe(false);
      }),
      { numRuns: 30 },
    );
  });

  test('reaches every endpoint, in the shares it says', () => {
    const balancer = balancerOf(settings, [1, 2, 3, 4]);
    const measured = measure(balancer, 20_000);
    expect(balancer.shares().size).toBe(4);
    for (const [state, share] of balancer.shares()) expect(measured.get(portOf(state)!)).toBeCloseTo(share, 1);
  });

  test('keeps what it knows of endpoints that stay', () => {
    const balancer = balancerOf(settings, [1, 2]);
    const [first] = balancer.endpoints;
    first.active = 3;
    balancer.update([endpoint(3), endpoint(1, { workload: 'shop/cart' })]);
    expect(balancer.endpoints.map(portOf)).toEqual([3, 1]);
    expect(balancer.endpoints[1]).toBe(first);
    expect(first).toMatchObject({ active: 3, endpoint: { workload: 'shop/cart' } });
    balancer.update([endpoint(1, { identity: 'spiffe://other' })]);
    expect(balancer.endpoints[0]).not.toBe(first);
  });

  test('never picks one that has left', () => {
    const balancer = balancerOf(settings, [1, 2, 3]);
    const sessions = balancer.endpoints.map(({ id }) => id);
    balancer.update([endpoint(1)]);
    for (const key of [undefined, ...sessions, ...keys(20)]) expect(portOf(balancer.pick(undefined, key))).toBe(1);
  });

  test('does not use what is not ready', () => {
    const balancer = balancerOf(settings, [1, 2, endpoint(3, { unready: true })]);
    expect([...measure(balancer, 500).keys()].sort()).toEqual([1, 2]);
  });
});

test('round robin takes each in turn', () => {
  const balancer = balancerOf({ kind: 'round-robin' }, [1, 2, 3]);
  const picked = Array.from({ length: 9 }, () => portOf(balancer.pick())!);
  expect(picked.slice(3)).toEqual(picked.slice(0, 6));
  expect(new Set(picked.slice(0, 3)).size).toBe(3);
});

/** How often each of two endpoints is picked, in 1000 picks. */
function countPicks(
  kind: 'least-request' | 'peak-ewma',
  prepare: (first: EndpointState, second: EndpointState) => void,
  clock = createClock(),
) {
  const balancer = balancerOf({ kind }, [1, 2], { clock });
  const [first, second] = balancer.endpoints;
  prepare(first, second);
  const counts = [0, 0];
  for (let round = 0; round < 1000; round++) counts[portOf(balancer.pick())! - 1]++;
  return counts;
}

describe('least request', () => {
  test('prefers the one with fewer requests under way', () => {
    const counts = countPicks('least-request', (idle, busy) => {
      idle.active = 1;
      busy.active = 2;
    });
    expect(counts).toEqual([1000, 0]);
  });

  test('does not ask how fast they are', () => {
    const counts = countPicks('least-request', (fast, slow) => {
      fast.observe(5);
      slow.observe(500);
    });
    expect(Math.min(...counts)).toBeGreaterThan(400);
  });
});

describe('peak EWMA', () => {
  test('prefers the one with fewer requests under way', () => {
    const counts = countPicks('peak-ewma', (idle, busy) => {
      idle.observe(10);
      busy.observe(10);
      busy.active = 5;
    });
    expect(counts).toEqual([1000, 0]);
  });

  test('prefers the faster one', () => {
    expect(countPicks('peak-ewma', (fast, slow) => [fast.observe(5), slow.observe(50)])).toEqual([1000, 0]);
  });

  test('is not attracted by failing fast either where the others are slow, and comes back after', () => {
    const clock = createClock();
    const balancer = balancerOf({ kind: 'peak-ewma' }, [1, 2], { clock });
    let failing = true;
    let failures = 0;
    const ask = () => {
      const state = balancer.pick()!;
      const failed = failing && portOf(state) === 1;
      if (failed) failures++;
      state.observe(failed ? 1 : 5000, failed);
      clock.advance(100);
      return portOf(state);
    };
    for (let request = 0; request < 200; request++) ask();
    expect(failures).toBeLessThan(20);
    failing = false;
    const after = Array.from({ length: 1000 }, ask);
    expect(after.filter((port) => port === 1).length).toBeGreaterThan(300);
  });

  test('is not attracted by failing fast', () => {
    expect(countPicks('peak-ewma', (good, bad) => [good.observe(50), bad.observe(1, true)])).toEqual([1000, 0]);
  });

  test('gives an endpoint that has not answered one request to begin with', () => {
    const balancer = balancerOf({ kind: 'peak-ewma' }, [1, 2]);
    const [known, unknown] = balancer.endpoints;
    known.observe(20);
    expect(balancer.pick()).toBe(unknown);
    unknown.active = 1;
    expect(balancer.pick()).toBe(known);
  });

  test('believes a peak at once and forgets it slowly', () => {
    const clock = createClock();
    const [state] = balancerOf({ kind: 'peak-ewma' }, [1], { clock }).endpoints;
    state.observe(10);
    clock.advance(1000);
    state.observe(500);
    expect(state.load(clock.now())).toBe(500);
    clock.advance(1000);
    state.observe(10);
    expect(state.load(clock.now())).toBeGreaterThan(400);
    clock.advance(60_000);
    state.observe(10);
    expect(state.load(clock.now())).toBeLessThan(12);
  });

  test('tries a slow one again when time has passed', () => {
    const clock = createClock();
    const counts = countPicks(
      'peak-ewma',
      (steady, once) => {
        once.observe(100);
        clock.advance(60_000);
        steady.observe(10);
      },
      clock,
    );
    expect(counts).toEqual([0, 1000]);
  });
});
