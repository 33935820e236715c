import { durationBounds, Histogram, Value } from './histogram.ts';

type Kind = 'counter' | 'gauge' | 'histogram';

interface Series<T> {
  readonly labels: string;
  readonly instrument: T;
}

/** Series of one metric. Take a series once with {@link Family.with} and keep it: the data path never looks labels up. */
export class Family<T> {
  readonly name: string;
  readonly help: string;
  readonly kind: Kind;
  readonly series = new Map<string, Series<T>>();
  #labelNames: readonly string[];
  #create: () => T;
  #limit: number;

  constructor(name: string, help: string, kind: Kind, labelNames: readonly string[], limit: number, create: () => T) {
    this.name = name;
    this.help = help;
    this.kind = kind;
    this.#labelNames = labelNames;
    this.#limit = limit;
    this.#create = create;
  }

  /** The series of these label values, in the order of the label names. Beyond the limit all share one, `overflow`. */
  with(...values: readonly string[]): T {
    const labels = this.#format(values);
    const known = this.series.get(labels);
    if (known) return known.instrument;
    if (this.series.size >= this.#limit) return this.#overflow();
    const instrument = this.#create();
    this.series.set(labels, { labels, instrument });
    return instrument;
  }

  /** Forgets all series: for gauges that are set anew each time they are read. */
  clear(): void {
    this.series.clear();
  }

  #overflow(): T {
    const labels = this.#format(this.#labelNames.map(() => 'overflow'));
    const known = this.series.get(labels);
    if (known) return known.instrument;
    const instrument = this.#create();
    this.series.set(labels, { labels, instrument });
    return instrument;
  }

  #format(values: readonly string[]): string {
    return this.#labelNames.map((name, index) => `${name}="${escapeLabel(values[index] ?? '')}"`).join(',');
  }
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

/** The metrics of one process, exposed in Prometheus text format 0.0.4. */
export class Registry {
  #families: Family<Histogram | Value>[] = [];
  #collectors: (() => void)[] = [];
  #seriesLimit: number;

  /** `seriesLimit` bounds the series of each metric, so that no peer can make memory grow. */
  constructor(seriesLimit = 2000) {
    this.#seriesLimit = seriesLimit;
  }

  counter(name: string, help: string, labelNames: readonly string[] = []): Family<Value> {
    return this.#add(new Family(name, help, 'counter', labelNames, this.#seriesLimit, () => new Value()));
  }

  gauge(name: string, help: string, labelNames: readonly string[] = []): Family<Value> {
    return this.#add(new Family(name, help, 'gauge', labelNames, this.#seriesLimit, () => new Value()));
  }

  histogram(name: string, help: string, labelNames: readonly string[] = []): Family<Histogram> {
    return this.#add(new Family(name, help, 'histogram', labelNames, this.#seriesLimit, () => new Histogram()));
  }

  /** Runs before each exposition, to set gauges that are read rather than counted. */
  beforeExpose(collect: () => void): void {
    this.#collectors.push(collect);
  }

  expose(): string {
    for (const collect of this.#collectors) collect();
    const lines: string[] = [];
    for (const family of this.#families) {
      if (family.series.size === 0) continue;
      lines.push(`# HELP ${family.name} ${family.help}`, `# TYPE ${family.name} ${family.kind}`);
      for (const { labels, instrument } of family.series.values()) {
        if (instrument instanceof Histogram) exposeHistogram(lines, family.name, labels, instrument);
        else lines.push(`${family.name}${labels && `{${labels}}`} ${instrument.value}`);
      }
    }
    return `${lines.join('\n')}\n`;
  }

  #add<T extends Histogram | Value>(family: Family<T>): Family<T> {
    this.#families.push(family as unknown as Family<Histogram | Value>);
    return family;
  }
}

function exposeHistogram(lines: string[], name: string, labels: string, histogram: Histogram): void {
  const prefix = labels && `${labels},`;
  let total = 0;
  for (const [index, bound] of durationBounds.entries()) {
    total += histogram.counts[index];
    lines.push(`${name}_bucket{${prefix}le="${bound}"} ${total}`);
  }
  total += histogram.counts[durationBounds.length];
  const suffix = labels && `{${labels}}`;
  lines.push(
    `${name}_bucket{${prefix}le="+Inf"} ${total}`,
    `${name}_sum${suffix} ${histogram.sum}`,
    `${name}_count${suffix} ${total}`,
  );
}
