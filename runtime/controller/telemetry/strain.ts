import type { Sample } from './prometheus-text.ts';

/** What policies keep from a target, as its callers' proxies see it; what there is none of is absent. */
export interface Strain {
  /** Tries, or TCP streams, a second that circuit breakers refused. */
  readonly refused?: number;
  /** Endpoints that outlier detection has ejected now: the most of any one proxy. */
  readonly ejected?: number;
}

const refusals = 'meshwright_circuit_breaker_refused_total';
const ejections = 'meshwright_ejected_endpoints';

/** The metrics that it is read from. */
export const strainMetrics: ReadonlySet<string> = new Set([refusals, ejections]);

/** What one proxy exposed of {@link strainMetrics} at first and at last, and how many seconds lie between. */
export interface StrainWindow {
  readonly first: readonly Sample[];
  readonly last: readonly Sample[];
  readonly seconds: number;
}

/** Looks up the strain on a target of a source, among several proxies. */
export function strainOn(windows: readonly StrainWindow[], source: string, target: string): Strain {
  let refused = 0;
  let ejected = 0;
  for (const { first, last, seconds } of windows) {
    const before = total(first, refusals, source, 'target', target);
    const after = total(last, refusals, source, 'target', target);
    // A proxy that began anew counts from zero.
    if (seconds > 0) refused += (after >= before ? after - before : after) / seconds;
    ejected = Math.max(ejected, total(last, ejections, source, 'service', target));
  }
  return { ...(refused > 0 && { refused }), ...(ejected > 0 && { ejected }) };
}

function total(samples: readonly Sample[], name: string, source: string, label: string, target: string): number {
  let sum = 0;
  for (const { name: metric, labels, value } of samples) {
    if (metric === name && labels.get('source') === source && labels.get(label) === target) sum += value;
  }
  return sum;
}
