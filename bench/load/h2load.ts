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

/** One request, as `h2load --log-file` tells of it. Times in microseconds. */
interface Answered {
  readonly start: number;
  readonly status: number;
  readonly end: number;
}

/** What became of requests at a fixed rate, between the first and the last second of the load. */
export interface OfferedLoad {
  /** Sent a second. */
  readonly offered: number;
  /** Answered 200 a second. */
  readonly good: number;
  /** Shares of those sent: refused with 503; all else that is not 200. */
  readonly shed: number;
  readonly failed: number;
  /** Of those answered 200, in microseconds. */
  readonly p99: number;
}

/** Left out at both ends: connections are made then, or requests not answered any more. */
export const edgeSeconds = 1;

const nothing: OfferedLoad = { offered: 0, good: 0, shed: 0, failed: 0, p99: 0 };

/** Reads what h2load logs: a line a request, in the order of their ends. Where that is all of the edges, nothing was offered. */
export function parseH2loadLog(log: string): OfferedLoad {
  const all = log
    .split('\n')
    .filter(Boolean)
    .map((line): Answered => {
      const [start, status, duration] = line.split('\t').map(Number);
      if (!(start > 0 && duration >= 0)) throw new Error(`expected a log of h2load, got "${line.slice(0, 80)}"`);
      return { start, status, end: start + duration };
    });
  const from = all.reduce((least, { start }) => Math.min(least, start), Number.POSITIVE_INFINITY) + edgeSeconds * 1e6;
  const until = all.reduce((most, { end }) => Math.max(most, end), 0) - edgeSeconds * 1e6;
  const seconds = (until - from) / 1e6;
  if (!(seconds > 0)) return nothing;
  const sent = all.filter(({ start }) => start >= from && start < until);
  const shareOf = (wanted: (status: number) => boolean) =>
    sent.filter(({ status }) => wanted(status)).length / Math.max(sent.length, 1);
  const times = sent.flatMap(({ start, status, end }) => (status === 200 ? [end - start] : [])).sort((a, b) => a - b);
  return {
    offered: sent.length / seconds,
    good: all.filter(({ status, end }) => status === 200 && end >= from && end < until).length / seconds,
    shed: shareOf((status) => status === 503),
    failed: shareOf((status) => status !== 200 && status !== 503),
    p99: times[Math.floor(times.length * 0.99)] ?? 0,
  };
}
