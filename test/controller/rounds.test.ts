import { expect, it } from '@jest/globals';
import { Rounds } from '../../runtime/controller/kubernetes/rounds.ts';
import { ManualClock } from '../support/manual-clock.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

it('goes on whatever fails, tells once why, and ends when it is closed', async () => {
  const clock = new ManualClock();
  const told: unknown[] = [];
  const logger = { info() {}, warn: (...words: unknown[]) => told.push(words) };
  const rounds = new Rounds({ interval: 1_000, complaint: 'nothing works', clock, random: () => 0.5, logger });
  const results = ['broken', 'broken', undefined, 'broken', 'torn', undefined];
  let begun = 0;
  const round = async () => {
    const problem = results[begun++];
    if (problem) throw new Error(problem);
  };
  rounds.start(round);
  rounds.start(round);
  await turn();
  while (begun < results.length) {
    const before = begun;
    clock.advance(1_099);
    await turn();
    expect(begun).toBe(before);
    clock.advance(1);
    await turn();
    expect(begun).toBe(before + 1);
  }
  expect(told).toEqual(['broken', 'broken', 'torn'].map((reason) => [{ reason }, 'nothing works']));
  rounds.close();
  clock.advance(10_000);
  await turn();
  expect(begun).toBe(results.length);
});
