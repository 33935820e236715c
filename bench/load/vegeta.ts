import type { Workspace } from '../host/workspace.ts';

/** Requests at a fixed rate, sent whether or not those before were answered. */
export interface OpenLoad {
  readonly url: string;
  /** Requests a second. */
  readonly rate: number;
  readonly seconds: number;
}

/** What one such load found. Latencies in microseconds. */
export interface OpenLoadResult {
  /** How many requests had which status; 0: they failed without one. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Seconds from the first request to the last answer. */
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

/** Runs vegeta, which is at `program`. */
export async function runVegeta(workspace: Workspace, program: string, load: OpenLoad): Promise<OpenLoadResult> {
  const { url, rate, seconds } = load;
  const [targets, results] = [
    `-targets=${await workspace.write('targets', `GET ${url}\n`)}`,
    workspace.path('results'),
  ];
  // As many are under way at most: beyond that the generator would run out of descriptors, and measure itself.
  const limits = ['-timeout=10s', '-max-workers=4000', '-connections=4000', '-max-body=0'];
  await workspace.run(program, [
    'attack',
    targets,
    `-rate=${rate}`,
    `-duration=${seconds}s`,
    `-output=${results}`,
    ...limits,
  ]);
  return parseVegetaReport(await workspace.run(program, ['report', '-type=json', results]));
}

/** Reads what `vegeta report -type=json` prints, whose times are nanoseconds. */
export function parseVegetaReport(text: string): OpenLoadResult {
  const { status_codes: statuses, latencies, duration, wait } = JSON.parse(text);
  if (!statuses || !latencies) throw new Error(`expected a report of vegeta, got "${text.slice(0, 200)}"`);
  const microseconds = (nanoseconds: number) => Number((nanoseconds / 1e3).toFixed(1));
  return {
    statuses,
    seconds: (duration + wait) / 1e9,
    p50: microseconds(latencies['50th']),
    p99: microseconds(latencies['99th']),
  };
}
