import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  backoffDelay,
  createRetryBudget,
  type FailedTry,
  planRetry,
  type RetryAllowance,
  type TryFailure,
  tryTimeout,
} from '../../runtime/engine/index.ts';
import type { Retry, RetryBudget } from '../../runtime/model/index.ts';
import { createClock } from './fixtures.ts';

const retry: Retry = { attempts: 2, codes: [503], backoff: 100 };
const half = () => 0.5;
const failed = (failure: TryFailure, rest: Partial<FailedTry> = {}): FailedTry => ({
  method: 'GET',
  failure,
  tries: 1,
  replayable: true,
  ...rest,
});
const plan = (attempt: FailedTry, rule: Retry | undefined = retry) =>
  planRetry(rule, attempt, createRetryBudget(createClock()), half);

describe('a failed try', () => {
  test.each<[string, FailedTry, string | number]>([
    ['is repeated when the method is safe', failed({ kind: 'broken' }), 50],
    [
      'is repeated when the peer did not process it, whatever the method',
      failed({ kind: 'unprocessed' }, { method: 'POST' }),
      50,
    ],
    ['is repeated for a status that counts as failure', failed({ kind: 'status', status: 503 }), 50],
    ['waits longer the second time', failed({ kind: 'timeout' }, { tries: 2, method: 'PUT' }), 100],
    [
      'is not repeated when a POST broke',
      failed({ kind: 'broken' }, { method: 'POST' }),
      'POST may have been processed',
    ],
    [
      'is not repeated when a POST was answered',
      failed({ kind: 'status', status: 503 }, { method: 'POST' }),
      'POST may have been processed',
    ],
    ['is not repeated for another status', failed({ kind: 'status', status: 500 }), '500 is not retried'],
    ['is not repeated too often', failed({ kind: 'unprocessed' }, { tries: 3 }), 'all 2 retries are used'],
    [
      'is not repeated without its body',
      failed({ kind: 'unprocessed' }, { replayable: false }),
      'the body is not held any more',
    ],
    ['is not repeated beyond the time of the request', failed({ kind: 'broken' }, { timeLeft: 50 }), 'no time is left'],
  ])('%s', (_, attempt, expected) => {
    expect(plan(attempt)).toEqual(
      typeof expected === 'number' ? { again: true, delay: expected } : { again: false, reason: expected },
    );
  });

  test('is not repeated where no rule asks for it', () => {
    expect(planRetry(undefined, failed({ kind: 'unprocessed' }), createRetryBudget(createClock()), half)).toEqual({
      again: false,
      reason: 'the rule asks for no retries',
    });
  });

  test('is not repeated when the budget is used up', () => {
    const budget = createRetryBudget(createClock());
    for (let count = 0; count < 1000; count++) budget.withdraw();
    expect(planRetry(retry, failed({ kind: 'broken' }), budget, half)).toEqual({
      again: false,
      reason: 'the retry budget is used up',
      exhausted: true,
    });
  });
});

test('the wait doubles, with full jitter, up to a limit', () => {
  expect([1, 2, 3, 7, 50].map((attempt) => backoffDelay(retry, attempt, half))).toEqual([50, 100, 200, 3200, 3200]);
  expect(backoffDelay(retry, 3, () => 0)).toBe(0);
});

describe('a call of gRPC', () => {
  const calls: Retry = { ...retry, codes: [], grpcStatuses: ['UNAVAILABLE'] };
  const post = (failure: TryFailure) => plan(failed(failure, { method: 'POST' }), calls);

  test('is repeated for a status that is named, POST as it is', () => {
    expect(post({ kind: 'grpc', status: 'UNAVAILABLE' })).toEqual({ again: true, delay: 50 });
  });

  test.each<[TryFailure, string]>([
    [{ kind: 'grpc', status: 'INTERNAL' }, 'INTERNAL is not retried'],
    [{ kind: 'broken' }, 'POST may have been processed'],
    [{ kind: 'timeout' }, 'POST may have been processed'],
  ])('is not repeated after %j', (failure, reason) => {
    expect(post(failure)).toEqual({ again: false, reason });
  });

  test('is not repeated for a status where none is named', () => {
    const attempt = failed({ kind: 'grpc', status: 'UNAVAILABLE' }, { method: 'POST' });
    expect(plan(attempt)).toEqual({ again: false, reason: 'UNAVAILABLE is not retried' });
  });
});

describe('a retry budget', () => {
  const budget: RetryBudget = { percent: 20, interval: 10_000, minRetryRate: { count: 10, interval: 1000 } };
  const drain = (allowance: RetryAllowance) => {
    let count = 0;
    while (count < 1000 && allowance.withdraw()) count++;
    return count;
  };
  const request = (allowance: RetryAllowance, count: number, now: number) => {
    for (let each = 0; each < count; each++) allowance.deposit(now);
  };

  test('allows ten a second to whoever says nothing, and a fifth of the requests', () => {
    const clock = createClock();
    const allowance = createRetryBudget(clock);
    expect(drain(allowance)).toBe(10);
    clock.advance(999);
    expect(drain(allowance)).toBe(0);
    clock.advance(101);
    expect(drain(allowance)).toBe(10);
    request(allowance, 200, clock.now());
    expect(drain(allowance)).toBe(20);
  });

  test('forgets requests and repetitions after its interval', () => {
    const clock = createClock();
    const few = createRetryBudget(clock, { ...budget, minRetryRate: { count: 1, interval: 3_600_000 } });
    request(few, 100, clock.now());
    expect(drain(few)).toBe(20);
    clock.advance(11_000);
    expect(drain(few)).toBe(0);
    request(few, 10, clock.now());
    expect(drain(few)).toBe(2);
  });

  test('of no percent allows the least there is and no more', () => {
    const clock = createClock();
    const none = createRetryBudget(clock, { ...budget, percent: 0, minRetryRate: { count: 3, interval: 60_000 } });
    request(none, 10_000, clock.now());
    expect(drain(none)).toBe(3);
  });

  test('is never exceeded, whatever happens when', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('wait' as const), amount: fc.nat(3000) }),
      fc.record({ kind: fc.constantFrom('request' as const, 'retry' as const), amount: fc.nat(200) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), fc.nat(100), (steps, percent) => {
        const clock = createClock();
        const allowance = createRetryBudget(clock, { ...budget, percent });
        const requests: number[] = [];
        const retries: number[] = [];
        const within = (times: readonly number[], interval: number) =>
          times.filter((time) => time > clock.now() - interval).length;
        for (const { kind, amount } of steps) {
          if (kind === 'wait') clock.advance(amount);
          for (let count = 0; kind !== 'wait' && count < amount; count++) {
            if (kind === 'request') {
              requests.push(clock.now());
              allowance.deposit(clock.now());
            } else if (allowance.withdraw()) {
              retries.push(clock.now());
              // What is counted leaves the window in steps of a tenth of it.
              const share = (within(requests, 10_000) * percent) / 100;
              expect(within(retries, 9000) <= share + 1e-6 || within(retries, 900) <= 10).toBe(true);
            }
          }
        }
      }),
    );
  });
});

test.each([
  [{}, 5, undefined],
  [{ request: 100 }, 30, 70],
  [{ request: 100 }, 130, 0],
  [{ backendRequest: 40 }, 1000, 40],
  [{ request: 100, backendRequest: 40 }, 30, 40],
  [{ request: 100, backendRequest: 40 }, 80, 20],
  [{ request: 0, backendRequest: 0 }, 80, undefined],
])('of %j, %d ms gone, a try may take %s', (timeouts, elapsed, expected) => {
  expect(tryTimeout(timeouts, elapsed)).toBe(expected);
});
