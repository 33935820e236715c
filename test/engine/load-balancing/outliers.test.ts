import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createBalancer, type Outcome, outcomeOfCall, outcomeOfStatus } from '../../../runtime/engine/index.ts';
import type { Balancer, Endpoint, OutlierDetection, Random } from '../../../runtime/model/index.ts';
import { createClock, createRandom } from '../fixtures.ts';
import { endpoint, keys, measure, portOf } from './endpoints.ts';

const detection: OutlierDetection = {
  policy: { kind: 'OutlierDetectionPolicy', namespace: 'shop', name: 'outliers' },
  consecutiveErrors: 3,
  baseEjectionTime: 30_000,
  maxEjectionTime: 300_000,
  maxEjectionPercent: 50,
};

const [success, error, gateway]: Outcome[] = ['success', 'error', 'gateway-error'];
/** Without chance: nothing is added to ejections, and round robin begins with the first. */
function judged(
  settings: Partial<OutlierDetection> = {},
  {
    of = [1, 2, 3, 4] as readonly (number | Endpoint)[],
    balancer = { kind: 'round-robin' } as Balancer,
    random = (() => 0) as Random,
  } = {},
) {
  const clock = createClock();
  const ejected: string[] = [];
  const lb = createBalancer(balancer, random, clock, {
    outlierDetection: { ...detection, ...settings },
    onEjected: ({ state, reason, times }) => ejected.push(`${portOf(state)} ${reason} ${times}`),
  });
  const endpoints = of.map((each) => (typeof each === 'number' ? endpoint(each) : each));
  lb.update(endpoints);
  const stateOf = (port: number) => lb.endpoints.find((state) => portOf(state) === port)!;
  return {
    clock,
    lb,
    ejected,
    record(port: number, ...outcomes: (Outcome | undefined)[]) {
      const { conduct } = stateOf(port);
      for (const outcome of outcomes) conduct!.record(outcome);
    },
    out: () => lb.ejections.map(({ state }) => portOf(state)),
    picked: (count = 300) => [...measure(lb, count).keys()].sort(),
    /** Milliseconds until it is tried again. */
    left: () => Math.round(lb.ejections[0].until - clock.now()),
  };
}

describe('an endpoint', () => {
  test('is ejected after so many errors in a row, and not picked then', () => {
    const { record, out, picked, ejected } = judged();
    record(1, error, gateway, success, error, gateway);
    expect(out()).toEqual([]);
    record(1, error);
    expect(out()).toEqual([1]);
    expect(picked()).toEqual([2, 3, 4]);
    expect(ejected).toEqual(['1 consecutive-errors 1']);
  });

  test('is ejected after so many gateway errors in a row; an error of its own ends the row', () => {
    const { record, ejected } = judged({ consecutiveErrors: undefined, consecutiveGatewayErrors: 2 });
    record(1, gateway, error, gateway, success, gateway);
    expect(ejected).toEqual([]);
    record(1, gateway);
    expect(ejected).toEqual(['1 consecutive-gateway-errors 1']);
  });

  test('is ejected where too large a share of an interval fails, once there are enough requests', () => {
    const failurePercentage = { threshold: 50, minRequests: 4, interval: 10_000 };
    const { record, ejected, clock } = judged({ consecutiveErrors: undefined, failurePercentage });
    record(1, error, success, error);
    clock.advance(10_000);
    record(1, error, success, success);
    expect(ejected).toEqual([]);
    record(1, error);
    expect(ejected).toEqual(['1 failure-percentage 1']);
    record(2, success, success, success, error, error);
    expect(ejected).toHaveLength(1);
  });

  test('hears nothing of what says nothing', () => {
    const { record, ejected } = judged();
    record(1, error, undefined, error, undefined);
    expect(ejected).toEqual([]);
    record(1, error);
    expect(ejected).toHaveLength(1);
  });

  test('is tried again by one request when its time is over, and admitted if that succeeds', () => {
    const { record, out, clock, lb, picked } = judged();
    record(1, error, error, error);
    clock.advance(29_999);
    expect(picked()).toEqual([2, 3, 4]);
    clock.advance(1);
    expect(portOf(lb.pick())).toBe(1);
    expect(picked()).toEqual([2, 3, 4]);
    expect(out()).toEqual([1]);
    record(1, success);
    expect(out()).toEqual([]);
    expect(picked()).toEqual([1, 2, 3, 4]);
  });

  test('stays out for longer each time that request fails, up to a limit', () => {
    const { record, left, clock, lb, ejected } = judged({ maxEjectionTime: 80_000 });
    record(1, error, error, error);
    const times: number[] = [];
    for (let round = 0; round < 4; round++) {
      times.push(left());
      clock.advance(left());
      expect(portOf(lb.pick())).toBe(1);
      record(1, error);
    }
    expect(times).toEqual([30_000, 60_000, 80_000, 80_000]);
    expect(ejected.slice(-1)).toEqual(['1 probation 5']);
  });

  test('is out for up to a tenth longer, as chance will have it', () => {
    const { record, left } = judged({}, { random: () => 0.5 });
    record(1, error, error, error);
    expect(left()).toBe(31_500);
  });

  test('has its ejections forgotten, one for each time in which it did well as long as the first takes', () => {
    const { record, left, clock, lb } = judged();
    const failAndReturn = (round: number) => {
      record(1, error, error, error);
      const time = left();
      clock.advance(time);
      lb.pick();
      record(1, success);
      return time / 30_000 - round;
    };
    expect([0, 1, 2].map(failAndReturn)).toEqual([1, 1, 1]);
    clock.advance(60_000);
    expect(failAndReturn(0)).toBe(2);
  });

  test('is sent another request on probation where the first said nothing, or takes too long', () => {
    const { record, clock, lb } = judged();
    record(1, error, error, error);
    clock.advance(30_000);
    expect(portOf(lb.pick())).toBe(1);
    record(1, undefined);
    expect(portOf(lb.pick())).toBe(1);
    expect(portOf(lb.pick())).not.toBe(1);
    clock.advance(30_000);
    expect(portOf(lb.pick())).toBe(1);
  });

  test('is not judged by what was sent before it was ejected', () => {
    const { record, out, left } = judged();
    record(1, error, error, error);
    record(1, success, error, error);
    expect([out(), left()]).toEqual([[1], 30_000]);
  });

  test('that was tried by a request is not where it goes on probation', () => {
    const { record, clock, lb } = judged();
    record(1, error, error, error);
    clock.advance(30_000);
    const tried = new Set(lb.ejections.map(({ state }) => state));
    expect(portOf(lb.pick(tried))).not.toBe(1);
    expect(portOf(lb.pick())).toBe(1);
  });

  test('that comes back warms up as a new one does', () => {
    const { record, clock, lb } = judged(
      {},
      { balancer: { kind: 'random', slowStart: { window: 10_000 } }, random: createRandom(3) },
    );
    record(1, error, error, error);
    clock.advance(33_000);
    lb.pick();
    record(1, success);
    expect(measure(lb, 4000).get(1)).toBeLessThan(0.1);
    clock.advance(10_000);
    expect(measure(lb, 4000).get(1)).toBeGreaterThan(0.2);
  });
});

describe('the bound', () => {
  test('keeps enough endpoints, whatever they do', () => {
    const { record, out, picked } = judged({ maxEjectionPercent: 40 }, { of: [1, 2, 3] });
    record(1, error, error, error);
    record(2, error, error, error);
    expect(out()).toEqual([1]);
    expect(picked()).toEqual([2, 3]);
    const alone = judged({ maxEjectionPercent: 99 }, { of: [1] });
    alone.record(1, error, error, error, error);
    expect(alone.out()).toEqual([]);
  });

  test('lets the next one out as soon as there is room', () => {
    const { record, out, clock, lb } = judged({ maxEjectionPercent: 25 });
    record(1, error, error, error);
    record(2, error, error, error);
    clock.advance(30_000);
    lb.pick();
    record(1, success);
    record(2, error);
    expect(out()).toEqual([2]);
  });

  test('brings the first one back where endpoints leave', () => {
    const { record, out, lb, clock } = judged();
    record(1, error, error, error);
    clock.advance(10);
    record(2, error, error, error);
    lb.update([endpoint(1), endpoint(2), endpoint(3)]);
    expect(out()).toEqual([2]);
    lb.update([endpoint(1), endpoint(3)]);
    expect(out()).toEqual([]);
  });

  test('may be all of them: then there is nothing to pick, unless there is a panic threshold', () => {
    const fail = (balancer: Balancer) => {
      const all = judged({ maxEjectionPercent: 100 }, { of: [1, 2], balancer });
      all.record(1, error, error, error);
      all.record(2, error, error, error);
      return all;
    };
    const { lb, out } = fail({ kind: 'round-robin' });
    expect([out(), lb.pick()]).toEqual([[1, 2], undefined]);
    const panicking = fail({ kind: 'round-robin', panicThreshold: 30 });
    expect(panicking.lb.panicking).toBe(true);
    expect(panicking.picked()).toEqual([1, 2]);
    panicking.clock.advance(30_000);
    panicking.record(1, success);
    panicking.picked();
    // The other one is on probation, and has had its request.
    expect([panicking.out(), panicking.picked()]).toEqual([[2], [1]]);
  });

  test('is never exceeded', () => {
    const event = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.tuple(
          fc.constant('record'),
          fc.nat(5),
          fc.constantFrom(success, error, gateway, gateway, undefined),
        ),
      },
      { weight: 2, arbitrary: fc.tuple(fc.constant('wait'), fc.nat(90_000), fc.constant(undefined)) },
      { weight: 2, arbitrary: fc.tuple(fc.constant('pick'), fc.nat(3), fc.constant(undefined)) },
      {
        weight: 3,
        arbitrary: fc.tuple(fc.constant('endpoints'), fc.integer({ min: 0, max: 63 }), fc.constant(undefined)),
      },
    );
    const failurePercentage = { threshold: 30, minRequests: 3, interval: 20_000 };
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.array(event, { maxLength: 120 }),
        (maxEjectionPercent, events) => {
          const { lb, clock } = judged({ maxEjectionPercent, consecutiveErrors: 2, failurePercentage });
          for (const [kind, number, outcome] of events) {
            const state = lb.endpoints[number % Math.max(1, lb.endpoints.length)];
            if (kind === 'record') for (const each of [outcome, outcome]) state?.conduct?.record(each);
            else if (kind === 'wait') clock.advance(number);
            else if (kind === 'pick') lb.pick(undefined, number ? `key-${number}` : undefined);
            else
              lb.update([1, 2, 3, 4, 5, 6].filter((port) => number & (1 << (port - 1))).map((port) => endpoint(port)));
            const most = Math.floor((lb.endpoints.length * maxEjectionPercent) / 100);
            expect(lb.ejections.length).toBeLessThanOrEqual(most);
            expect(new Set(lb.ejections.map(({ state }) => state)).size).toBe(lb.ejections.length);
            for (const { state } of lb.ejections) expect(lb.endpoints).toContain(state);
            if (lb.endpoints.length > most) expect(lb.pick()).toBeDefined();
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('a hash', () => {
  test.each<Balancer['kind']>(['ring-hash', 'maglev'])('%s leads around what is ejected, and back again', (kind) => {
    const balancer = { kind, by: { kind: 'source' } } as Balancer;
    const { lb, record, clock } = judged({}, { balancer });
    const home = new Map(keys(200).map((key) => [key, portOf(lb.pick(undefined, key))]));
    record(1, error, error, error);
    let moved = 0;
    for (const [key, port] of home) {
      const now = portOf(lb.pick(undefined, key));
      expect(now).not.toBe(1);
      if (port !== 1 && now !== port) moved++;
    }
    expect(moved).toBeLessThan(kind === 'ring-hash' ? 1 : 10);
    clock.advance(30_000);
    const [foreign] = [...home].find(([, port]) => port !== 1)!;
    const [own] = [...home].find(([, port]) => port === 1)!;
    expect(portOf(lb.pick(undefined, foreign))).not.toBe(1);
    expect(portOf(lb.pick(undefined, own))).toBe(1);
    expect(portOf(lb.pick(undefined, own))).not.toBe(1);
    record(1, success);
    for (const [key, port] of home) expect(portOf(lb.pick(undefined, key))).toBe(port);
  });
});

test('what is not ready does not come to be picked because others are ejected', () => {
  const of = [1, 2, endpoint(3, { unready: true })];
  const { record, picked } = judged({}, { of, balancer: { kind: 'round-robin', panicThreshold: 40 } });
  record(1, error, error, error);
  expect(picked()).toEqual([1, 2]);
});

test('statuses tell whether it is the endpoint that fails', () => {
  expect([200, 404, 429, 499].map(outcomeOfStatus)).toEqual([success, success, success, success]);
  expect([500, 501, 502, 503, 504, 599].map(outcomeOfStatus)).toEqual([error, error, gateway, gateway, gateway, error]);
  expect((['OK', 'NOT_FOUND', 'CANCELLED', 'RESOURCE_EXHAUSTED'] as const).map(outcomeOfCall)).toEqual(
    Array(4).fill(success),
  );
  expect((['INTERNAL', 'UNKNOWN', 'DATA_LOSS'] as const).map(outcomeOfCall)).toEqual([error, error, error]);
  expect((['UNAVAILABLE', 'DEADLINE_EXCEEDED'] as const).map(outcomeOfCall)).toEqual([gateway, gateway]);
});
