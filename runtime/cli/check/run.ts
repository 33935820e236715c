import { ApiError } from '../../kubernetes/index.ts';
import type { Clock } from '../../model/index.ts';
import { type Category, type Check, type Context, error, type Problem, warning } from './check.ts';
import type { ClusterView } from './cluster-view.ts';

export interface CheckResult {
  readonly category: string;
  readonly id: string;
  readonly description: string;
  /** `skipped`: what it needs is not there. */
  readonly result: 'ok' | 'warning' | 'error' | 'skipped';
  readonly message?: string;
  readonly hint?: string;
}

export interface RunOptions {
  /** A fresh look at the cluster. */
  look(): ClusterView;
  readonly clock: Clock;
  readonly version: string;
  /** How long is waited for what may come right by itself, in total and from the first failure. Milliseconds. */
  readonly wait: number;
  /** Told why it waits, once for each reason. */
  onWaiting(check: Check, problem: Problem): void;
}

/** Milliseconds between two looks at what may come right. */
const interval = 1000;

/** Runs checks in order, each as soon as its result is asked for. */
export async function* runChecks(categories: readonly Category[], options: RunOptions): AsyncGenerator<CheckResult> {
  const { clock, wait } = options;
  let deadline: number | undefined;
  const failed = new Set<string>();
  let cluster = options.look();
  for (const category of categories) {
    let skip = category.needs.some((needed) => failed.has(needed));
    for (const check of category.checks) {
      const place = { category: category.name, id: check.id, description: check.description };
      if (skip) {
        yield { ...place, result: 'skipped' };
        continue;
      }
      const problem = await settled(check);
      yield problem
        ? { ...place, result: problem.severity, message: problem.message, hint: problem.hint }
        : { ...place, result: 'ok' };
      if (check.fatal && problem?.severity === 'error') skip = true;
    }
    if (skip) failed.add(category.name);
  }

  /** What is wrong, once it is right or the time is over. */
  async function settled(check: Check): Promise<Problem | undefined> {
    let problem = await ask(check, cluster, options);
    if (!problem) return undefined;
    deadline ??= clock.now() + wait;
    let told: string | undefined;
    while (problem?.severity === 'error' && check.settles && clock.now() < deadline) {
      if (problem.message !== told) options.onWaiting(check, problem);
      told = problem.message;
      await pause(clock, interval);
      cluster = options.look();
      problem = await ask(check, cluster, options);
    }
    return problem;
  }
}

async function ask(check: Check, cluster: ClusterView, { clock, version }: RunOptions): Promise<Problem | undefined> {
  const context: Context = { now: clock.wallTime(), version };
  try {
    return await check.run(cluster, context);
  } catch (reason) {
    if (!(reason instanceof ApiError)) throw reason;
    return reason.status === 403
      ? warning(`not known: ${reason.message}`, 'check as somebody who may read this')
      : error(reason.message, 'see what the API server complains of');
  }
}

function pause(clock: Clock, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    clock.schedule(milliseconds, resolve);
  });
}
