import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileKey } from '../../../runtime/engine/index.ts';
import type { Balancer, HashKey } from '../../../runtime/model/index.ts';
import { request } from '../fixtures.ts';
import { balancerOf, endpoint, keys, portOf } from './endpoints.ts';

type Kind = 'ring-hash' | 'maglev';
const settings = (kind: Kind): Balancer => ({ kind, by: { kind: 'header', name: 'x-user' } });
const ports = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const sample = keys(20_000);

function place(kind: Kind, endpoints: readonly number[], seed?: number): readonly (number | undefined)[] {
  const balancer = balancerOf(settings(kind), endpoints, { seed });
  return sample.map((key) => portOf(balancer.pick(undefined, key)));
}

describe.each<Kind>(['ring-hash', 'maglev'])('%s', (kind) => {
  test('leads equal keys to one endpoint, in every proxy and whatever the order of the endpoints', () => {
    const placed = place(kind, ports(6));
    fc.assert(
      fc.property(fc.shuffledSubarray(ports(6), { minLength: 6 }), fc.nat(), (order, seed) => {
        expect(place(kind, order, seed)).toEqual(placed);
      }),
      { numRuns: 5 },
    );
  });

  test('leads a request without the key anywhere', () => {
    const balancer = balancerOf(settings(kind), ports(3));
    const picked = new Set(Array.from({ length: 100 }, () => portOf(balancer.pick())));
    expect(picked.size).toBe(3);
  });

  test('leads every key that it excludes an endpoint for to one other', () => {
    const balancer = balancerOf(settings(kind), ports(4));
    const first = balancer.pick(undefined, 'alice')!;
    const second = balancer.pick(new Set([first]), 'alice');
    expect(second).not.toBe(first);
    expect(balancer.pick(new Set([first]), 'alice')).toBe(second);
  });
});

/** The largest share of the keys that an endpoint has, relative to an equal share. */
function peakOf(placed: readonly (number | undefined)[], count: number): number {
  const sizes = Map.groupBy(placed, (port) => port);
  return (Math.max(...Array.from(sizes.values(), ({ length }) => length)) / placed.length) * count;
}

/** What leaves with one endpoint: the share of all keys that move, and of those that had no reason to. */
function leave(kind: Kind, count: number) {
  const before = place(kind, ports(count));
  const after = place(
    kind,
    ports(count).filter((port) => port !== 1),
  );
  const moved = before.filter((port, index) => port !== after[index]);
  const needless = moved.filter((port) => port !== 1);
  return { moved: moved.length / sample.length, needless: needless.length / sample.length };
}

describe.each([3, 5, 10, 50])('of %i endpoints one leaves', (count) => {
  test('a ring moves its keys, about 1/N of all, and no other', () => {
    const { moved, needless } = leave('ring-hash', count);
    expect(needless).toBe(0);
    expect(moved * count).toBeGreaterThan(0.7);
    expect(moved * count).toBeLessThan(1.3);
  });

  test('maglev moves 1/N of all and few others', () => {
    const { moved, needless } = leave('maglev', count);
    expect((moved - needless) * count).toBeGreaterThan(0.85);
    expect((moved - needless) * count).toBeLessThan(1.15);
    expect(needless).toBeLessThan(0.01);
  });

  test('what a ring gives the fullest is within a third of its due, what maglev gives within a tenth', () => {
    expect(peakOf(place('ring-hash', ports(count)), count)).toBeLessThan(1.34);
    // 20,000 keys over 50 endpoints are 400 each, with a deviation of 20 by chance.
    expect(peakOf(place('maglev', ports(count)), count)).toBeLessThan(count > 10 ? 1.2 : 1.1);
  });
});

test('an endpoint that comes takes keys from the others, which exchange none on a ring', () => {
  const before = place('ring-hash', ports(4));
  const after = place('ring-hash', ports(5));
  const exchanged = before.filter((port, index) => port !== after[index] && after[index] !== 5);
  expect(exchanged).toEqual([]);
  expect(after.filter((port) => port === 5).length / sample.length).toBeGreaterThan(0.1);
});

test('shares say where a key leads', () => {
  const balancer = balancerOf(settings('maglev'), ports(5));
  expect([...balancer.shares('alice')]).toEqual([[balancer.pick(undefined, 'alice'), 1]]);
});

describe('the key of a request', () => {
  const by = (key: HashKey) => compileKey({ kind: 'maglev', by: key })!;
  const asked = request('/', {
    query: 'tenant=a%20b&tenant=c',
    headers: ['x-user', 'alice', 'cookie', 'other=1; session="xyz"', 'x-user', 'bob', 'cookie', 'late=2'],
  });

  test.each<[HashKey, string | undefined]>([
    [{ kind: 'header', name: 'x-user' }, 'alice,bob'],
    [{ kind: 'header', name: 'host' }, 'reviews.shop'],
    [{ kind: 'header', name: 'x-none' }, undefined],
    [{ kind: 'cookie', name: 'session' }, '"xyz"'],
    [{ kind: 'cookie', name: 'late' }, '2'],
    [{ kind: 'cookie', name: 'ession' }, undefined],
    [{ kind: 'query', name: 'tenant' }, 'a b'],
    [{ kind: 'source' }, 'spiffe://shop.local/ns/shop/sa/web'],
  ])('by %j', (key, value) => {
    expect(by(key)(asked, 'spiffe://shop.local/ns/shop/sa/web')).toBe(value);
  });

  test('of a stream of bytes is its source or nothing', () => {
    expect(by({ kind: 'source' })(undefined, 'web')).toBe('web');
    expect(by({ kind: 'header', name: 'x-user' })(undefined, 'web')).toBeUndefined();
  });

  test('is not read where no balancer asks for it', () => {
    expect(compileKey({ kind: 'peak-ewma' })).toBeUndefined();
  });

  test('finds in a cookie header what was put there', () => {
    const name = fc.stringMatching(/^[a-z_]{1,4}$/);
    const value = fc.stringMatching(/^[a-z0-9]{0,4}$/);
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(name, value), { selector: ([each]) => each }), (pairs) => {
        const cookie = pairs.map((pair) => pair.join('=')).join('; ');
        for (const [cookieName, expected] of pairs) {
          const read = by({ kind: 'cookie', name: cookieName });
          expect(read(request('/', { headers: ['cookie', cookie] }), undefined)).toBe(expected);
        }
      }),
    );
  });
});

test('an id is short and fits into a cookie', () => {
  const [{ id }] = balancerOf(settings('maglev'), [endpoint(9080)]).endpoints;
  expect(id).toMatch(/^[0-9a-z]{8,14}$/);
});
