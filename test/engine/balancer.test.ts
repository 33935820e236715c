import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createBalancer, type EndpointState } from '../../runtime/engine/index.ts';
import type { Balancer, Endpoint } from '../../runtime/model/index.ts';
import { createClock, createRandom } from './fixtures.ts';

const endpoint = (port: number, rest: Partial<Endpoint> = {}): Endpoint => ({
  address: '127.0.0.1',
  ports: { '80': port },
  ...rest,
});
const portOf = (state: EndpointState | undefined) => state?.endpoint.ports['80'];

function balancer(kind: Balancer, ports: readonly number[], clock = createClock()) {
  const created = createBalancer(kind, createRandom(7), clock);
  created.update(ports.map((port) => endpoint(port)));
  return created;
}

describe.each<Balancer>(['round-robin', 'least-request'])('%s', (kind) => {
  test('has nothing to pick where there is no endpoint', () => {
    expect(balancer(kind, []).pick()).toBeUndefined();
  });

  test('never picks what is excluded, and always something else if there is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(4)), (count, excluded) => {
        const balance = balancer(kind, [...Array(count).keys()]);
        const exclude = new Set(balance.endpoints.filter((state) => excluded.includes(portOf(state)!)));
        const picked = balance.pick(exclude);
        expect(picked === undefined).toBe(exclude.size === count);
        if (picked) expect(exclude.has(picked)).toBe(false);
      }),
    );
  });

  test('reaches every endpoint', () => {
    const balance = balancer(kind, [1, 2, 3, 4]);
    const picked = new Set(Array.from({ length: 200 }, () => portOf(balance.pick())));
    expect([...picked].sort()).toEqual([1, 2, 3, 4]);
  });

  test('keeps what it knows of endpoints that stay', () => {
    const balance = balancer(kind, [1, 2]);
    const [first] = balance.endpoints;
    first.active = 3;
    balance.update([endpoint(3), endpoint(1, { workload: 'shop/cart' })]);
    expect(balance.endpoints.map(portOf)).toEqual([3, 1]);
    expect(balance.endpoints[1]).toBe(first);
    expect(first).toMatchObject({ active: 3, endpoint: { workload: 'shop/cart' } });
    balance.update([endpoint(1, { identity: 'spiffe://other' })]);
    expect(balance.endpoints[0]).not.toBe(first);
  });
});

test('round-robin takes each in turn', () => {
  const balance = balancer('round-robin', [1, 2, 3]);
  const picked = Array.from({ length: 9 }, () => portOf(balance.pick())!);
  expect(picked.slice(3)).toEqual(picked.slice(0, 6));
  expect(new Set(picked.slice(0, 3)).size).toBe(3);
});

describe('least-request', () => {
  function shares(
    ports: readonly number[],
    prepare: (states: readonly EndpointState[]) => void,
    clock = createClock(),
  ) {
    const balance = balancer('least-request', ports, clock);
    prepare(balance.endpoints);
    const counts = ports.map(() => 0);
    for (let round = 0; round < 1000; round++) counts[ports.indexOf(portOf(balance.pick())!)]++;
    return counts;
  }

  test('prefers the one with fewer requests under way', () => {
    const [idle, busy] = shares([1, 2], (states) => {
      for (const state of states) state.observe(10);
      states[1].active = 5;
    });
    expect([idle, busy]).toEqual([1000, 0]);
  });

  test('prefers the faster one', () => {
    expect(shares([1, 2], ([fast, slow]) => [fast.observe(5), slow.observe(50)])).toEqual([1000, 0]);
  });

  test('is not attracted by failing fast', () => {
    expect(shares([1, 2], ([good, bad]) => [good.observe(50), bad.observe(1, true)])).toEqual([1000, 0]);
  });

  test('gives an endpoint that has not answered one request to begin with', () => {
    const balance = balancer('least-request', [1, 2]);
    const [known, unknown] = balance.endpoints;
    known.observe(20);
    expect(balance.pick()).toBe(unknown);
    unknown.active = 1;
    expect(balance.pick()).toBe(known);
  });

  test('believes a peak at once and forgets it slowly', () => {
    const clock = createClock();
    const [state] = balancer('least-request', [1], clock).endpoints;
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
    const counts = shares(
      [1, 2],
      ([steady, once]) => {
        once.observe(100);
        clock.advance(60_000);
        steady.observe(10);
      },
      clock,
    );
    expect(counts).toEqual([0, 1000]);
  });
});
