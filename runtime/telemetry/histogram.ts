/**
 * Upper bounds of the duration buckets in seconds: those of the OpenTelemetry semantic conventions, with finer ones
 * below 5 ms, where calls inside a mesh mostly are.
 */
export const durationBounds: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];

/** Counts durations in fixed buckets; an observation costs some nanoseconds and no allocation. */
export class Histogram {
  /** One count a bound, then the count beyond the last bound. */
  readonly counts = new Float64Array(durationBounds.length + 1);
  sum = 0;

  observe(seconds: number): void {
    let bucket = 0;
    while (bucket < durationBounds.length && seconds > durationBounds[bucket]) bucket++;
    this.counts[bucket]++;
    this.sum += seconds;
  }

  get count(): number {
    let total = 0;
    for (const count of this.counts) total += count;
    return total;
  }
}

/** A number that goes up, or up and down. */
export class Value {
  value = 0;

  add(amount = 1): void {
    this.value += amount;
  }
}
