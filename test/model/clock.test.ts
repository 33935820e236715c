import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { systemClock } from '../../runtime/model/index.ts';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

const fired: string[] = [];
const note = (name: string) => () => void fired.push(`${name} at ${performance.now() - started}`);
let started = 0;

beforeEach(() => {
  fired.length = 0;
  started = performance.now();
});

test('each timer fires once, at its time', () => {
  systemClock.schedule(5000, note('first'));
  jest.advanceTimersByTime(1000);
  systemClock.schedule(5000, note('second'));
  systemClock.schedule(2500, note('shorter'));
  systemClock.schedule(10, note('short'));
  jest.advanceTimersByTime(20_000);
  expect(fired).toEqual(['short at 1010', 'shorter at 3500', 'first at 5000', 'second at 6000']);
});

test('a timer that is cancelled does not fire, and the others do', () => {
  const timers = ['a', 'b', 'c', 'd', 'e'].map((name) => systemClock.schedule(3000, note(name)));
  for (const index of [2, 0, 4, 2]) timers[index].cancel();
  jest.advanceTimersByTime(3000);
  expect(fired).toEqual(['b at 3000', 'd at 3000']);
  timers[1].cancel();
  systemClock.schedule(3000, note('later'));
  jest.advanceTimersByTime(3000);
  expect(fired.slice(2)).toEqual(['later at 6000']);
});

test('timers set and cancelled as others fire are as any', () => {
  const cancelled = systemClock.schedule(4000, note('cancelled'));
  cancelled.cancel();
  let last = { cancel() {} };
  systemClock.schedule(4000, () => {
    note('first')();
    last.cancel();
    systemClock.schedule(4000, note('again'));
  });
  last = systemClock.schedule(4000, note('last'));
  jest.advanceTimersByTime(10_000);
  expect(fired).toEqual(['first at 4000', 'again at 8000']);
});

test('a callback that throws keeps no other from firing', () => {
  systemClock.schedule(6000, () => {
    throw new Error('as expected');
  });
  systemClock.schedule(6000, note('other'));
  expect(() => jest.advanceTimersByTime(6000)).toThrow('as expected');
  jest.advanceTimersByTime(10);
  expect(fired).toHaveLength(1);
});

test('a timer of months takes months, unless it is cancelled', () => {
  const day = 24 * 3_600_000;
  systemClock.schedule(60 * day, note('deadline'));
  const cancelled = [30 * day, 60 * day].map((delay) => systemClock.schedule(delay, note('cancelled')));
  cancelled[0].cancel();
  jest.advanceTimersByTime(59 * day);
  cancelled[1].cancel();
  expect(fired).toEqual([]);
  jest.advanceTimersByTime(2 * day);
  expect(fired).toEqual([`deadline at ${60 * day}`]);
});
