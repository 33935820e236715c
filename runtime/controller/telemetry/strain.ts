import type { Sample } from './prometheus-text.ts';

/** What policies keep from a target, as its callers' proxies see it; what there is none of is absent. */
export interface Strain {
  /** Tries, or TCP streams, a second that circuit breakers refused. */
  readonly refused?: number;
  /** Requests, or tries, a second that took longer than a limit of time allows. */
  readonly timedOut?: number;
  /** Endpoints that outlier detection has ejected now: the most of any one proxy. */
  readonly ejected?: number;
}

export const openBreakers = 'meshwright_circuit_breaker_open';
export const refusals = 'meshwright_circuit_breaker_refused_total';
export const ejections = 'meshwright_ejected_endpoints';
const timeouts = 'meshwright_timeouts_total';

/** The metrics that tell of it. */
export const strainMetrics: ReadonlySet<string> = new Set([openBreakers, refusals, timeouts, ejections]);

/** What one proxy exposed of {@link strainMetrics} at first and at last, and how many seconds lie between. */
export interface StrainWindow {
  readonly first: readonly Sample[];
  readonly last: readonly Sample[];
  readonly seconds: number;
}

type Labels = ReadonlyMap<string, string>;

/** Looks up the strain on a target of a source, among several proxies. */
export function strainOn(windows: readonly StrainWindow[], source: string, target: string): Strain {
  const isOf = (label: string) => (labels: Labels) => labels.get('source') === source && labels.get(label) === target;
  const rate = (name: string) => windows.reduce((sum, window) => sum + rateOf(window, name, isOf('target')), 0);
  const refused = rate(refusals);
  const timedOut = rate(timeouts);
  const ejected = Math.max(0, ...windows.map(({ last }) => total(last, ejections, isOf('service'))));
  return { ...(refused > 0 && { refused }), ...(timedOut > 0 && { timedOut }), ...(ejected > 0 && { ejected }) };
}

/** How much a counter rose in a second, in the series that are wanted. */
export function rateOf(
  { first, last, seconds }: StrainWindow,
  name: string,
  wanted: (labels: Labels) => boolean,
): number {
  if (seconds <= 0) return 0;
  const before = total(first, name, wanted);
  const after = total(last, name, wanted);
  // A proxy that began anew counts from zero.
  return (after >= before ? after - before : after) / seconds;
}

function total(samples: readonly Sample[], name: string, wanted: (labels: Labels) => boolean): number {
  let sum = 0;
  for (const { name: metric, labels, value } of samples) if (metric === name && wanted(labels)) sum += value;
  return sum;
}
