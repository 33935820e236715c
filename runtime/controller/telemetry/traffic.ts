import {
  clientDuration,
  type DurationHistogram,
  type Histograms,
  quantile,
  readHistograms,
  serverDuration,
  sinceThen,
  sumBuckets,
} from './histograms.ts';
import { type PolicyStats, policyStats } from './policy-stats.ts';
import { parsePrometheusText, type Sample } from './prometheus-text.ts';
import { type Strain, strainMetrics, strainOn } from './strain.ts';

/** How requests went in the last seconds. Shares and times are absent where there were none. */
export interface TrafficStats {
  /** Requests a second. */
  readonly rps: number;
  /** Share of requests, 0 to 1, answered with something other than 5xx. */
  readonly success?: number;
  /** Milliseconds. */
  readonly p50?: number;
  /** Milliseconds. */
  readonly p99?: number;
  /** Share of requests, 0 to 1, that came over mutual TLS. */
  readonly mtls?: number;
}

/** Requests that a version of a service answered. */
export interface ServiceStats extends TrafficStats {
  readonly service: string;
  /** Empty where it has none. */
  readonly version: string;
}

/** Requests that one service sent to another. */
export interface EdgeStats extends TrafficStats, Strain {
  readonly source: string;
  /** The service that was called. */
  readonly service: string;
  /** The service that the route chose. */
  readonly target: string;
  /** On `tcp`, streams are counted instead of requests. */
  readonly protocol: 'http' | 'tcp';
}

interface Scrape {
  readonly at: number;
  readonly server: Histograms;
  readonly client: Histograms;
  /** Streams opened, by source, service and whether they are encrypted. */
  readonly streams: readonly Sample[];
  readonly strain: readonly Sample[];
}

const streamsOpened = 'tcp_connections_opened_total';

/** Scrapes kept of each proxy: rates are those between the oldest and the newest. */
const keptScrapes = 6;

/** Adds up what the proxies count. */
export class Traffic {
  readonly #scrapes = new Map<string, Scrape[]>();

  /** Takes the exposition of a proxy; `at` is in monotonic milliseconds. */
  record(proxy: string, text: string, at: number): void {
    const histograms = readHistograms(text);
    const scrapes = this.#scrapes.get(proxy) ?? [];
    const samples = [...parsePrometheusText(text, (name) => name === streamsOpened || strainMetrics.has(name))];
    const streams = samples.filter(({ name }) => name === streamsOpened);
    const strain = samples.filter(({ name }) => name !== streamsOpened);
    scrapes.push({ at, server: histograms[serverDuration], client: histograms[clientDuration], streams, strain });
    this.#scrapes.set(proxy, scrapes.slice(-keptScrapes));
  }

  /** Forgets all proxies but these. */
  retain(proxies: ReadonlySet<string>): void {
    for (const proxy of this.#scrapes.keys()) if (!proxies.has(proxy)) this.#scrapes.delete(proxy);
  }

  services(): ServiceStats[] {
    return this.#aggregate('server', ['service', 'version']).map(([[service, version], stats]) => ({
      service,
      version,
      ...stats,
    }));
  }

  edges(): EdgeStats[] {
    const http = this.#aggregate('client', ['source', 'service', 'target']).map(
      ([[source, service, target], stats]): EdgeStats => ({ source, service, target, protocol: 'http', ...stats }),
    );
    const windows = this.#strain();
    const edges = [...http, ...this.#streams()];
    if (windows.length === 0) return edges;
    return edges.map((edge) => ({ ...edge, ...strainOn(windows, edge.source, edge.target) }));
  }

  policies(): PolicyStats {
    return policyStats(this.#strain());
  }

  /** Of the proxies that have a policy to tell of: mostly of none. */
  #strain() {
    return [...this.#scrapes.values()].flatMap((scrapes) => {
      const [first, last] = [scrapes[0], scrapes[scrapes.length - 1]];
      const window = { first: first.strain, last: last.strain, seconds: (last.at - first.at) / 1000 };
      return last.strain.length ? [window] : [];
    });
  }

  /** A stream may live long: an edge is one that was ever opened, also when none was in the last seconds. */
  #streams(): EdgeStats[] {
    const groups = new Map<string, { source: string; service: string; opened: number; mtls: number; rps: number }>();
    for (const scrapes of this.#scrapes.values()) {
      const [then, now] = [scrapes[0], scrapes[scrapes.length - 1]];
      const seconds = (now.at - then.at) / 1000;
      for (const { labels, value } of now.streams) {
        if (labels.get('direction') !== 'outbound') continue;
        const [source, service] = [labels.get('source') ?? '', labels.get('service') ?? ''];
        const key = `${source}\n${service}`;
        const group = groups.get(key) ?? { source, service, opened: 0, mtls: 0, rps: 0 };
        groups.set(key, group);
        group.opened += value;
        if (labels.get('mtls') === 'true') group.mtls += value;
        const before = then.streams.find((sample) => sameLabels(sample.labels, labels))?.value ?? 0;
        if (seconds > 0 && value >= before) group.rps += (value - before) / seconds;
      }
    }
    return [...groups.values()]
      .filter(({ opened }) => opened > 0)
      .map(({ source, service, opened, mtls, rps }) => {
        return { source, service, target: service, protocol: 'tcp', rps, mtls: mtls / opened };
      });
  }

  #aggregate(side: 'server' | 'client', by: readonly string[]): [string[], TrafficStats][] {
    const groups = new Map<string, { names: string[]; parts: Part[] }>();
    for (const scrapes of this.#scrapes.values()) {
      const [then, now] = [scrapes[0], scrapes[scrapes.length - 1]];
      const seconds = (now.at - then.at) / 1000;
      if (seconds <= 0) continue;
      for (const [key, histogram] of now[side]) {
        const names = by.map((label) => histogram.labels.get(label) ?? '');
        const group = groups.get(names.join('\n')) ?? { names, parts: [] };
        groups.set(names.join('\n'), group);
        group.parts.push({ histogram: sinceThen(histogram, then[side].get(key)), seconds });
      }
    }
    return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { names, parts }]) => [names, statsOf(parts)]);
  }
}

function sameLabels(left: ReadonlyMap<string, string>, right: ReadonlyMap<string, string>): boolean {
  return left.size === right.size && [...left].every(([name, value]) => right.get(name) === value);
}

interface Part {
  readonly histogram: DurationHistogram;
  readonly seconds: number;
}

function statsOf(parts: readonly Part[]): TrafficStats {
  const count = (wanted: (labels: ReadonlyMap<string, string>) => boolean) =>
    parts.reduce((sum, { histogram }) => sum + (wanted(histogram.labels) ? histogram.count : 0), 0);
  const total = count(() => true);
  const rps = parts.reduce((sum, { histogram, seconds }) => sum + histogram.count / seconds, 0);
  if (total === 0) return { rps };
  const buckets = sumBuckets(parts.map(({ histogram }) => histogram));
  const failed = count((labels) => ['5xx', 'none'].includes(labels.get('response_class') ?? ''));
  return {
    rps,
    success: 1 - failed / total,
    p50: quantile(0.5, buckets)! * 1000,
    p99: quantile(0.99, buckets)! * 1000,
    mtls: count((labels) => labels.get('mtls') === 'true') / total,
  };
}
