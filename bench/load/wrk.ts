import { findProgram } from '../host/tools.ts';
import type { Workspace } from '../host/workspace.ts';

/** What one run of `wrk --latency` found. Latencies in microseconds. */
export interface LoadResult {
  readonly requests: number;
  readonly p50: number;
  readonly p99: number;
  /** What went wrong, in wrk's words; empty when every request was answered with success. */
  readonly problems: readonly string[];
}

/** Has as many connections as said ask for `url`, each as soon as it was answered. Rejects where a request fails. */
export async function runWrk(
  workspace: Workspace,
  url: string,
  connections: number,
  seconds: number,
): Promise<LoadResult> {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '--latency', url];
  const result = parseWrkReport(await workspace.run(findProgram('wrk'), args));
  if (result.requests > 0 && result.problems.length === 0) return result;
  const what = result.problems.join('; ') || 'no request was answered';
  throw new Error(`requests to ${url} failed at ${connections} connections: ${what}`);
}

const microseconds: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6, m: 60e6, h: 3600e6 };

/** Reads the report that `wrk --latency` prints. */
export function parseWrkReport(report: string): LoadResult {
  const requests = /^\s*(\d+) requests in /m.exec(report);
  if (!requests) throw new Error(`expected a report of wrk, got "${report.slice(0, 200)}"`);
  return {
    requests: Number(requests[1]),
    p50: percentile(report, 50),
    p99: percentile(report, 99),
    problems: report.match(/^\s*(?:Socket errors|Non-2xx or 3xx responses): .*$/gm)?.map((line) => line.trim()) ?? [],
  };
}

function percentile(report: string, percent: number): number {
  const found = new RegExp(`^\\s*${percent}%\\s+([\\d.]+)(us|ms|s|m|h)\\s*$`, 'm').exec(report);
  if (!found) throw new Error(`expected the ${percent}% latency in the report of wrk, got "${report.slice(0, 200)}"`);
  // wrk prints hundredths; what multiplication adds behind them is noise.
  return Number((Number(found[1]) * microseconds[found[2]]).toFixed(2));
}
