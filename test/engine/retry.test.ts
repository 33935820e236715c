import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  backoffDelay,
  createRetryBudget,
  type FailedTry,
  planRetry,
  type TryFailure,
  tryTimeout,
} from '../../runtime/engine/index.ts';
import type { Retry } from '../../runtime/model/index.ts';
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
    while (budget.withdraw());
    expect(planRetry(retry, failed({ kind: 'broken' }), budget, half)).toEqual({
      again: false,
      reason: 'the retry budget is used up',
    });
  });
});

test('the wait doubles, with full jitter, up to a limit', () => {
  expect([1, 2, 3, 7, 50].map((attempt) => backoffDelay(retry, attempt, half))).toEqual([50, 100, 200, 3200, 3200]);
  expect(backoffDelay(retry, 3, () => 0)).toBe(0);
});

test('repetitions never exceed a fifth of the requests, ten a second and what was saved', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('wait' as const), amount: fc.nat(3000) }),
    fc.record({ kind: fc.constantFrom('request' as const, 'retry' as const), amount: fc.nat(200) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const clock = createClock();
      const budget = createRetryBudget(clock);
      let requests = 0;
      let retries = 0;
      for (const { kind, amount } of steps) {
        if (kind === 'wait') clock.advance(amount);
        for (let count = 0; kind !== 'wait' && count < amount; count++) {
          if (kind === 'request') {
            requests++;
            budget.deposit();
          } else if (budget.withdraw()) retries++;
        }
        expect(retries).toBeLessThanOrEqual(10 + requests * 0.2 + (clock.now() / 1000) * 10 + 1e-6);
      }
    }),
  );
});

test('the budget fills again with time and with requests, to a hundred at most', () => {
  const clock = createClock();
  const budget = createRetryBudget(clock);
  const drain = () => {
    let count = 0;
    while (budget.withdraw()) count++;
    return count;
  };
  expect(drain()).toBe(10);
  clock.advance(500);
  expect(drain()).toBe(5);
  for (let count = 0; count < 51; count++) budget.deposit();
  expect(drain()).toBe(10);
  clock.advance(60_000);
  expect(drain()).toBe(100);
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
