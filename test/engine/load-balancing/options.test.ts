import { describe, expect, test } from '@jest/globals';
import { sessionCookie } from '../../../runtime/engine/index.ts';
import type { Balancer, Endpoint } from '../../../runtime/model/index.ts';
import { createClock } from '../fixtures.ts';
import { balancerOf, endpoint, measure, portOf } from './endpoints.ts';

const inZone = (zone: string, ...ports: number[]): Endpoint[] => ports.map((port) => endpoint(port, { zone }));

describe('preference of a zone', () => {
  const near: Balancer = { kind: 'random', preferSameZone: { minEndpoints: 2 } };

  function localShare(endpoints: readonly Endpoint[], zone?: string, settings = near): number {
    const balancer = balancerOf(settings, endpoints, { zone });
    const measured = measure(balancer, 10_000);
    const stated = balancer.shares();
    let local = 0;
    for (const [state, share] of stated) {
      expect(measured.get(portOf(state)!) ?? 0).toBeCloseTo(share, 1);
      if (state.endpoint.zone === 'a') local += share;
    }
    return local;
  }

  test('keeps everything in the zone while enough endpoints are ready there', () => {
    expect(localShare([...inZone('a', 1, 2), ...inZone('b', 3, 4, 5)], 'a')).toBe(1);
  });

  test('lets the missing share go elsewhere', () => {
    expect(localShare([...inZone('a', 1), ...inZone('b', 3, 4, 5)], 'a')).toBe(0.5);
  });

  test('goes everywhere where the zone has none, or is not known', () => {
    const elsewhere = [...inZone('a', 1), ...inZone('b', 2)];
    expect(localShare(elsewhere, 'c')).toBe(0.5);
    expect(localShare(elsewhere, undefined)).toBe(0.5);
  });

  test('does not count in a panic', () => {
    const balancer = balancerOf(
      { ...near, panicThreshold: 50 },
      [...inZone('a', 1, 2), ...inZone('b', 3, 4, 5, 6).map((each) => ({ ...each, unready: true as const }))],
      { zone: 'a' },
    );
    expect(balancer.panicking).toBe(true);
    expect(measure(balancer, 500).size).toBe(6);
  });

  test('takes another zone rather than what is excluded', () => {
    const balancer = balancerOf(near, [...inZone('a', 1, 2), ...inZone('b', 3)], { zone: 'a' });
    const tried = new Set(balancer.endpoints.filter(({ endpoint }) => endpoint.zone === 'a'));
    expect(portOf(balancer.pick(tried))).toBe(3);
  });
});

describe('slow start', () => {
  const settings: Balancer = { kind: 'random', slowStart: { window: 10_000 } };

  test('gives who comes later a share that grows from a tenth to a full one', () => {
    const clock = createClock();
    const balancer = balancerOf(settings, [1], { clock });
    clock.advance(60_000);
    balancer.update([endpoint(1), endpoint(2)]);
    expect(measure(balancer, 10_000).get(2)).toBeCloseTo(0.05, 1);
    clock.advance(5_000);
    expect(measure(balancer, 10_000).get(2)).toBeCloseTo(0.25, 1);
    clock.advance(5_000);
    expect(measure(balancer, 10_000).get(2)).toBeCloseTo(0.5, 1);
  });

  test('does not hold back those that were there first', () => {
    expect(measure(balancerOf(settings, [1, 2]), 10_000).get(2)).toBeCloseTo(0.5, 1);
  });

  test('sends everything to those that are new where nothing else is left', () => {
    const clock = createClock();
    const balancer = balancerOf(settings, [1], { clock });
    balancer.update([endpoint(2), endpoint(3)]);
    expect(measure(balancer, 10_000).get(2)).toBeCloseTo(0.5, 1);
  });
});

describe('a panic threshold', () => {
  const settings: Balancer = { kind: 'random', panicThreshold: 50 };
  const unready = (port: number) => endpoint(port, { unready: true });

  test('tries what is not ready when too little is', () => {
    const balancer = balancerOf(settings, [1, unready(2), unready(3)]);
    expect(balancer.panicking).toBe(true);
    expect([...measure(balancer, 200).keys()].sort()).toEqual([1, 2, 3]);
  });

  test('ends when enough is ready again', () => {
    const balancer = balancerOf(settings, [1, unready(2), unready(3)]);
    balancer.update([endpoint(1), endpoint(2), unready(3)]);
    expect(balancer.panicking).toBe(false);
    expect([...measure(balancer, 200).keys()].sort()).toEqual([1, 2]);
  });

  test('holds for hashes as well', () => {
    const balancer = balancerOf({ kind: 'maglev', by: { kind: 'source' }, panicThreshold: 50 }, [unready(1)]);
    expect(portOf(balancer.pick(undefined, 'web'))).toBe(1);
  });
});

describe('a session', () => {
  const cookie = { name: 'mw-cart', path: '/cart', sameSite: 'Lax', secure: false } as const;
  const settings: Balancer = { kind: 'random', session: cookie };

  test('comes back to its endpoint, also when others come and go', () => {
    const balancer = balancerOf(settings, [1, 2, 3]);
    const { id } = balancer.pick()!;
    const port = portOf(balancer.pick(undefined, id));
    balancer.update([endpoint(4), endpoint(port!), endpoint(5)]);
    for (let round = 0; round < 50; round++) expect(portOf(balancer.pick(undefined, id))).toBe(port);
  });

  test('goes on elsewhere when its endpoint has gone or failed', () => {
    const balancer = balancerOf(settings, [1, 2]);
    const [first, second] = balancer.endpoints;
    expect(balancer.pick(new Set([first]), first.id)).toBe(second);
    balancer.update([endpoint(2)]);
    expect(balancer.pick(undefined, first.id)).toBe(second);
  });

  test('cannot be made up: an unknown one is as none', () => {
    const balancer = balancerOf(settings, [1, 2]);
    expect(measure(balancer, 2000, '127.0.0.1').get(1)).toBeCloseTo(0.5, 1);
  });

  test('is told to the client in a cookie that scripts cannot read', () => {
    expect(sessionCookie(cookie, 'abc')).toBe('mw-cart=abc; Path=/cart; HttpOnly; SameSite=Lax');
    const strict = { ...cookie, path: '/', sameSite: 'Strict', secure: true, maxAge: 60 } as const;
    expect(sessionCookie(strict, 'abc')).toBe('mw-cart=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure');
  });
});
