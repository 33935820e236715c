/** What one run of `h2load` found. */
export interface H2loadResult {
  /** Answered with success. */
  readonly requests: number;
  /** Mean microseconds a request. */
  readonly mean: number;
  /** In h2load's words; empty when every request was answered with success. */
  readonly problems: readonly string[];
}

const microseconds: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6 };

/** Reads what h2load prints. */
export function parseH2loadReport(report: string): H2loadResult {
  const totals = /^requests: (\d+) total, .*?(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$/m.exec(
    report,
  );
  const times = /^time for request:\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)\s/m.exec(report);
  if (!totals || !times) throw new Error(`expected a report of h2load, got "${report.slice(0, 200)}"`);
  const [succeeded, failed, errored, timedOut] = totals.slice(2).map(Number);
  return {
    requests: succeeded,
    mean: Number((Number(times[1]) * microseconds[times[2]]).toFixed(2)),
    problems: failed + errored + timedOut > 0 ? [totals[0]] : [],
  };
}
