import { parsePrometheusText } from './prometheus-text.ts';

/** Durations of one series: counts of requests by bucket. */
export interface DurationHistogram {
  readonly labels: ReadonlyMap<string, string>;
  /** From the upper bound in seconds to the number of requests at or below it. */
  readonly buckets: ReadonlyMap<number, number>;
  readonly count: number;
}

/** The histograms of a metric, by their labels. */
export type Histograms = ReadonlyMap<string, DurationHistogram>;

export const serverDuration = 'http_server_request_duration_seconds';
export const clientDuration = 'http_client_request_duration_seconds';

/** Reads the duration histograms of an exposition, by metric. */
export function readHistograms(
  text: string,
): Readonly<Record<typeof serverDuration | typeof clientDuration, Histograms>> {
  const found = {
    [serverDuration]: new Map<string, MutableHistogram>(),
    [clientDuration]: new Map<string, MutableHistogram>(),
  };
  for (const { name, labels, value } of parsePrometheusText(text, isBucket)) {
    const metric = name.slice(0, -bucketSuffix.length) as keyof typeof found;
    const own = new Map([...labels].filter(([label]) => label !== 'le'));
    const key = JSON.stringify([...own]);
    const histogram = found[metric].get(key) ?? { labels: own, buckets: new Map<number, number>(), count: 0 };
    found[metric].set(key, histogram);
    const bound = labels.get('le');
    if (bound === '+Inf') histogram.count = value;
    histogram.buckets.set(bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound), value);
  }
  return found;
}

interface MutableHistogram {
  readonly labels: ReadonlyMap<string, string>;
  readonly buckets: Map<number, number>;
  count: number;
}

const bucketSuffix = '_bucket';
const isBucket = (name: string) =>
  name === `${serverDuration}${bucketSuffix}` || name === `${clientDuration}${bucketSuffix}`;

/** What was added to a histogram since; all of it where the process began anew. */
export function sinceThen(now: DurationHistogram, then: DurationHistogram | undefined): DurationHistogram {
  if (!then || now.count < then.count) return now;
  const buckets = new Map([...now.buckets].map(([bound, count]) => [bound, count - (then.buckets.get(bound) ?? 0)]));
  return { labels: now.labels, buckets, count: now.count - then.count };
}

/** Requests of several histograms by bucket. */
export function sumBuckets(histograms: readonly DurationHistogram[]): Map<number, number> {
  const sum = new Map<number, number>();
  for (const { buckets } of histograms) {
    for (const [bound, count] of buckets) sum.set(bound, (sum.get(bound) ?? 0) + count);
  }
  return sum;
}

/**
 * Estimates a quantile in seconds as Prometheus' `histogram_quantile` does: evenly spread within a bucket, and never
 * beyond the highest finite bound. `undefined` without requests.
 */
export function quantile(share: number, buckets: ReadonlyMap<number, number>): number | undefined {
  const sorted = [...buckets].sort(([a], [b]) => a - b);
  const total = sorted.at(-1)?.[1] ?? 0;
  if (total <= 0) return undefined;
  const rank = share * total;
  let lower = 0;
  let below = 0;
  for (const [bound, count] of sorted) {
    if (count >= rank && count > below) {
      return bound === Number.POSITIVE_INFINITY ? lower : lower + (bound - lower) * ((rank - below) / (count - below));
    }
    if (bound !== Number.POSITIVE_INFINITY) lower = bound;
    below = count;
  }
  return lower;
}
