import { beforeEach, describe, expect, it } from '@jest/globals';
import { WorkQueue } from '../../runtime/controller/kubernetes/work-queue.ts';
import { ManualClock } from '../support/manual-clock.ts';

let clock: ManualClock;
let queue: WorkQueue;
let begun: string[];
let errors: string[];
/** What working on a key does. */
let work: (key: string) => Promise<void>;

const turn = () => new Promise((resolve) => setImmediate(resolve));
const pass = async (milliseconds: number) => {
  for (let passed = 0; passed < milliseconds; passed += 50) {
    clock.advance(50);
    await turn();
  }
};

beforeEach(() => {
  clock = new ManualClock();
  begun = [];
  errors = [];
  work = async () => {};
  queue = new WorkQueue({
    handle: (key) => {
      begun.push(key);
      return work(key);
    },
    onError: (key, error) => errors.push(`${key}: ${(error as Error).message}`),
    clock,
    random: () => 0,
  });
});

describe('a work queue', () => {
  it('works on a key once, however often it was added before, and not again within a second', async () => {
    const gate = Promise.withResolvers<void>();
    work = () => gate.promise;
    for (let time = 0; time < 5; time++) queue.add('a');
    expect(begun).toStrictEqual(['a']);
    gate.resolve();
    await turn();
    await pass(950);
    expect(begun).toStrictEqual(['a']);
    await pass(100);
    expect(begun).toStrictEqual(['a', 'a']);
    await pass(5_000);
    expect(begun).toStrictEqual(['a', 'a']);
  });

  it('works on eight keys at a time, in the order in which they came', async () => {
    const gate = Promise.withResolvers<void>();
    work = () => gate.promise;
    for (let key = 0; key < 20; key++) queue.add(String(key));
    expect(begun).toStrictEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
    gate.resolve();
    await turn();
    expect(begun).toHaveLength(20);
  });

  it('works on a hundred keys at once, and on fifty a second from then on', async () => {
    for (let key = 0; key < 1_000; key++) queue.add(String(key));
    for (let turns = 0; turns < 100; turns++) await turn();
    expect(begun).toHaveLength(100);
    await pass(1_000);
    expect(begun.length).toBeGreaterThan(140);
    expect(begun.length).toBeLessThanOrEqual(151);
    await pass(20_000);
    expect(new Set(begun).size).toBe(1_000);
  });

  it('tries again what failed, less and less often, until it succeeds', async () => {
    work = () => Promise.reject(new Error('no'));
    queue.add('a');
    await pass(60_000);
    expect(begun.length).toBeGreaterThan(8);
    expect(begun.length).toBeLessThan(20);
    expect(errors[0]).toBe('a: no');
    work = async () => {};
    await pass(10_000);
    const tries = begun.length;
    await pass(60_000);
    expect(begun).toHaveLength(tries);
  });

  it('forgets what waits, also what was to be tried again', async () => {
    work = () => Promise.reject(new Error('no'));
    for (let key = 0; key < 200; key++) queue.add(String(key));
    for (let turns = 0; turns < 100; turns++) await turn();
    queue.add('0');
    queue.clear();
    const tries = begun.length;
    await turn();
    await pass(60_000);
    expect(begun).toHaveLength(tries);
    queue.add('later');
    expect(begun.at(-1)).toBe('later');
  });
});
