import { describe, expect, it } from '@jest/globals';
import { type Category, type Check, error, type Problem, warning } from '../../runtime/cli/check/check.ts';
import type { ClusterView } from '../../runtime/cli/check/cluster-view.ts';
import { type CheckResult, runChecks } from '../../runtime/cli/check/run.ts';
import { ApiError } from '../../runtime/kubernetes/index.ts';
import { ManualClock } from '../support/manual-clock.ts';

const minute = 60_000;

interface Ran {
  readonly results: readonly CheckResult[];
  /** What it waited for. */
  readonly reasons: readonly string[];
  /** How often it looked at the cluster anew. */
  readonly looks: number;
  /** Milliseconds. */
  readonly took: number;
}

/** Runs checks while time passes as fast as they wait. */
async function run(categories: readonly Category[], wait = 0): Promise<Ran> {
  const clock = new ManualClock();
  const results: CheckResult[] = [];
  const reasons: string[] = [];
  let looks = 0;
  const schedule = clock.schedule.bind(clock);
  clock.schedule = (delay, callback) => {
    const timer = schedule(delay, callback);
    clock.advance(delay);
    return timer;
  };
  const ran = runChecks(categories, {
    look: () => {
      looks++;
      return {} as ClusterView;
    },
    clock,
    version: '0.1.0',
    wait,
    onWaiting: ({ id }, { message }) => reasons.push(`${id}: ${message}`),
  });
  for await (const result of ran) results.push(result);
  return { results, reasons, looks, took: clock.now() };
}

const check = (id: string, answers: (Problem | undefined | Error)[], more: Partial<Check> = {}): Check => ({
  id,
  description: `${id} holds`,
  ...more,
  async run() {
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer instanceof Error) throw answer;
    return answer;
  },
});
const category = (...checks: Check[]): Category[] => [{ name: 'all', needs: [], checks }];
const settles = { settles: true } as const;
const no = (message: string) => error(message, 'mend it');

describe('what fails', () => {
  it('is asked again until it holds, with a fresh look each time', async () => {
    const replicas = check('replicas', [no('0 of 2'), no('0 of 2'), no('1 of 2'), undefined], settles);
    const { results, reasons, looks, took } = await run(category(replicas), minute);
    expect(results).toMatchObject([{ id: 'replicas', result: 'ok' }]);
    expect(reasons).toEqual(['replicas: 0 of 2', 'replicas: 1 of 2']);
    expect({ looks, took }).toEqual({ looks: 4, took: 3000 });
  });

  it('is told when the time is over, which is one for all checks', async () => {
    const { results, took } = await run(
      category(check('first', [no('never')], settles), check('second', [no('never')], settles)),
      minute,
    );
    expect(results).toMatchObject([
      { id: 'first', result: 'error', message: 'never' },
      { id: 'second', result: 'error' },
    ]);
    expect(took).toBe(minute);
  });

  it('is not waited for where nobody says so, nor where waiting cannot help', async () => {
    const replicas = () => check('replicas', [no('0 of 2'), undefined], settles);
    expect(await run(category(replicas()))).toMatchObject({ results: [{ result: 'error' }], looks: 1, took: 0 });
    const old = check('version', [no('old'), undefined]);
    expect(await run(category(old), minute)).toMatchObject({ results: [{ result: 'error' }], took: 0 });
  });

  it('is not waited for where it is but a warning', async () => {
    const replicas = check('replicas', [warning('only 1', 'run 2'), undefined], settles);
    expect(await run(category(replicas), minute)).toMatchObject({ results: [{ result: 'warning' }], took: 0 });
  });
});

describe('an answer of the API server', () => {
  it('that it may not be told is a warning', async () => {
    const forbidden = new ApiError('secrets is forbidden', { status: 403, reason: 'Forbidden' });
    const { results } = await run(category(check('secret', [forbidden], settles)), minute);
    expect(results).toMatchObject([{ result: 'warning', message: 'not known: secrets is forbidden' }]);
  });

  it('that is an error is one, and is waited out', async () => {
    const down = new ApiError('GET /api: 503', { status: 503, reason: 'ServiceUnavailable' });
    expect(await run(category(check('api', [down])))).toMatchObject({ results: [{ message: 'GET /api: 503' }] });
    const { results } = await run(category(check('api', [down, undefined], settles)), minute);
    expect(results).toMatchObject([{ result: 'ok' }]);
  });

  it('is not what a mistake of a check is taken for', async () => {
    await expect(run(category(check('broken', [new TypeError('undefined is not')])))).rejects.toThrow(TypeError);
  });
});

describe('a check without which others say nothing', () => {
  const fatal = check('there', [no('it is not')], { fatal: true });
  const rest = check('rest', [undefined]);

  it('keeps the rest of its category, and what needs that, from being asked', async () => {
    const { results } = await run([
      { name: 'a', needs: [], checks: [fatal, rest] },
      { name: 'b', needs: ['a'], checks: [rest] },
      { name: 'c', needs: ['b'], checks: [rest] },
      { name: 'd', needs: [], checks: [rest] },
    ]);
    expect(results.map(({ category, id, result }) => `${category}/${id} ${result}`)).toEqual([
      'a/there error',
      'a/rest skipped',
      'b/rest skipped',
      'c/rest skipped',
      'd/rest ok',
    ]);
  });

  it('does not where it only warns', async () => {
    const unsure = check('there', [warning('not known', 'look')], { fatal: true });
    const { results } = await run(category(unsure, rest));
    expect(results.map(({ result }) => result)).toEqual(['warning', 'ok']);
  });
});
