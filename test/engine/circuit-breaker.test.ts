import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Breaker, firstOpen } from '../../runtime/engine/index.ts';
import type { BreakerLimits } from '../../runtime/model/index.ts';

const policy = { kind: 'CircuitBreakerPolicy', namespace: 'shop', name: 'limits' };
const breaker = (limits: BreakerLimits) => new Breaker('shop/reviews:9080', { policy, limits });

describe('a breaker', () => {
  test('is open for what is at its limit, and for nothing else', () => {
    const two = breaker({ requests: 2 });
    two.startRequest();
    expect(two.isOpen('requests')).toBe(false);
    two.startRequest();
    two.startWaiting();
    expect([two.isOpen('requests'), two.isOpen('pending'), two.isOpen('connections')]).toEqual([true, false, false]);
    expect(two.reason('requests')).toBe(
      'shop/reviews:9080 has 2 requests under way; CircuitBreakerPolicy shop/limits allows 2',
    );
    two.endRequest();
    expect(two.isOpen('requests')).toBe(false);
  });

  test('counts the connections of pools with the streams of TCP', () => {
    const three = breaker({ connections: 3 });
    let pooled = 2;
    three.countPooled(() => pooled);
    expect(three.isOpen('connections')).toBe(false);
    three.openStream();
    expect([three.count('connections'), three.isOpen('connections')]).toEqual([3, true]);
    pooled = 0;
    three.closeStream();
    expect(three.count('connections')).toBe(0);
  });

  test('goes on counting when its limits change', () => {
    const one = breaker({ requests: 1 });
    one.startRequest();
    one.configure({ policy, limits: { requests: 2 } });
    expect([one.count('requests'), one.isOpen('requests')]).toEqual([1, false]);
    one.configure({ policy, limits: {} });
    expect(one.isOpen('requests')).toBe(false);
  });

  test('is found as the first of several that is open', () => {
    const [wide, narrow] = [breaker({ requests: 5 }), breaker({ requests: 1, pending: 3 })];
    expect(firstOpen([wide, narrow], 'requests')).toBeUndefined();
    for (const each of [wide, narrow]) each.startRequest();
    expect(firstOpen([wide, narrow], 'requests')).toBe(narrow);
  });

  test('never lets more through than allowed, and is at 0 when all is over', () => {
    const step = fc.record({ start: fc.boolean(), limit: fc.constantFrom('requests' as const, 'pending' as const) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 60 }), (most, steps) => {
        const all = [breaker({ requests: most, pending: most }), breaker({ requests: 3, pending: 3 })];
        const underWay = { requests: 0, pending: 0 };
        const begin = {
          requests: (each: Breaker) => each.startRequest(),
          pending: (each: Breaker) => each.startWaiting(),
        };
        const end = { requests: (each: Breaker) => each.endRequest(), pending: (each: Breaker) => each.endWaiting() };
        for (const { start, limit } of steps) {
          if (start && !firstOpen(all, limit)) {
            underWay[limit]++;
            all.forEach(begin[limit]);
          } else if (!start && underWay[limit] > 0) {
            underWay[limit]--;
            all.forEach(end[limit]);
          }
          for (const each of all) {
            expect(each.count(limit)).toBe(underWay[limit]);
            expect(each.count(limit)).toBeLessThanOrEqual(each.settings.limits[limit]!);
          }
        }
        for (const limit of ['requests', 'pending'] as const) {
          while (underWay[limit]-- > 0) all.forEach(end[limit]);
          expect(all.map((each) => each.count(limit))).toEqual([0, 0]);
        }
      }),
    );
  });
});
