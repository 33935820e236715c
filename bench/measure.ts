import { existsSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { cpuTime } from './host/process-cpu.ts';
import type { Workspace } from './host/workspace.ts';
import type { Pair } from './pairs/pair.ts';
import { type LoadResult, parseWrkReport } from './wrk.ts';

/** What one measurement of one pair found, in microseconds. */
export interface Sample {
  /** CPU time of both hops. */
  readonly cpuPerRequest: number;
  readonly p50: number;
  readonly p99: number;
}

/** All samples of one pair at one number of connections, a round each. */
export interface Series {
  readonly pair: string;
  readonly connections: number;
  readonly samples: readonly Sample[];
}

export interface MeasureOptions {
  readonly workspace: Workspace;
  /** Where wrk is. */
  readonly wrk: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: readonly number[];
  readonly progress: (message: string) => void;
}

const warmUpSeconds = 1;
/** Once, before the first round: until a just-in-time compiler has seen enough. */
const firstWarmUpSeconds = 3;

/** Measures the pairs in turn, round for round, so that what disturbs the machine disturbs all of them alike. */
export async function measure(pairs: readonly Pair[], options: MeasureOptions): Promise<Series[]> {
  const series = options.connections.flatMap((connections) =>
    pairs.map((pair) => ({ pair, connections, samples: [] as Sample[] })),
  );
  for (const pair of pairs) {
    options.progress(`warming up ${pair.name}`);
    await load(pair, Math.max(...options.connections), firstWarmUpSeconds, options);
  }
  for (let round = 1; round <= options.rounds; round++) {
    for (const { pair, connections, samples } of series) {
      const sample = await measureOnce(pair, connections, options);
      samples.push(sample);
      const figures = `${sample.cpuPerRequest.toFixed(1)} us CPU a request, p50 ${sample.p50} us, p99 ${sample.p99} us`;
      options.progress(`round ${round} of ${options.rounds}, ${connections} connections, ${pair.name}: ${figures}`);
    }
  }
  return series.map(({ pair, ...rest }) => ({ pair: pair.name, ...rest }));
}

async function measureOnce(pair: Pair, connections: number, options: MeasureOptions): Promise<Sample> {
  for (const log of pair.logs) if (existsSync(log)) await truncate(log);
  await load(pair, connections, warmUpSeconds, options);
  const pids = pair.processes.map((process) => process.pid);
  const before = cpuTime(pids);
  const { requests, p50, p99 } = await load(pair, connections, options.seconds, options);
  return { cpuPerRequest: (cpuTime(pids) - before) / requests, p50, p99 };
}

async function load(pair: Pair, connections: number, seconds: number, options: MeasureOptions): Promise<LoadResult> {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', pair.url];
  const result = parseWrkReport(await options.workspace.run(options.wrk, args));
  if (result.requests === 0 || result.problems.length > 0) {
    const what = result.problems.join('; ') || 'no request was answered';
    throw new Error(`${pair.name} failed requests at ${connections} connections: ${what}`);
  }
  return result;
}
