import type { Sample } from './prometheus-text.ts';
import { ejections, openBreakers, rateOf, refusals, type StrainWindow } from './strain.ts';

/** A limit of a circuit breaker that is reached now, or that refused something in the last seconds. */
interface BreakerStats {
  /** `CircuitBreakerPolicy shop/ratings-limits`. */
  readonly policy: string;
  /** `requests`, `pending` or `connections`. */
  readonly limit: string;
  /** Where it is reached now: ports of services, routes, or rules of them. */
  readonly open: readonly string[];
  /** At how many proxies it is reached now. */
  readonly proxies: number;
  /** Tries, or TCP streams, a second that it refused. */
  readonly refused: number;
}

/** Endpoints of one port that outlier detection has ejected now. */
interface EjectionStats {
  readonly service: string;
  readonly port: number;
  /** The most that any one proxy has ejected. */
  readonly ejected: number;
  /** At how many proxies there are some. */
  readonly proxies: number;
}

/** What policies keep from targets now, as the proxies of their callers see it; empty where nothing is. */
export interface PolicyStats {
  readonly circuitBreakers: readonly BreakerStats[];
  readonly ejections: readonly EjectionStats[];
}

/** Adds up over proxies, each with what it exposed. */
export function policyStats(windows: readonly StrainWindow[]): PolicyStats {
  return { circuitBreakers: breakerStats(windows), ejections: ejectionStats(windows) };
}

function breakerStats(windows: readonly StrainWindow[]): BreakerStats[] {
  const groups = groupBy(windows, [openBreakers, refusals], ({ labels }) => [
    labels.get('policy') ?? '',
    labels.get('limit') ?? '',
  ]);
  return groups
    .map(([[policy, limit], samples]): BreakerStats => {
      const open = samples.filter(({ sample: { name, value } }) => name === openBreakers && value > 0);
      const refused = (labels: ReadonlyMap<string, string>) =>
        labels.get('policy') === policy && labels.get('limit') === limit;
      return {
        policy,
        limit,
        open: [...new Set(open.map(({ sample }) => sample.labels.get('target') ?? ''))].sort(),
        proxies: new Set(open.map(({ proxy }) => proxy)).size,
        refused: windows.reduce((sum, window) => sum + rateOf(window, refusals, refused), 0),
      };
    })
    .filter(({ open, refused }) => open.length > 0 || refused > 0);
}

function ejectionStats(windows: readonly StrainWindow[]): EjectionStats[] {
  const groups = groupBy(windows, [ejections], ({ labels }) => [labels.get('service') ?? '', labels.get('port') ?? '']);
  return groups
    .map(([[service, port], samples]): EjectionStats => {
      const some = samples.filter(({ sample }) => sample.value > 0);
      return {
        service,
        port: Number(port),
        ejected: Math.max(0, ...some.map(({ sample }) => sample.value)),
        proxies: some.length,
      };
    })
    .filter(({ ejected }) => ejected > 0);
}

interface ProxySample {
  readonly proxy: StrainWindow;
  readonly sample: Sample;
}

/** What proxies exposed at last of some metrics, by names, sorted. */
function groupBy(
  windows: readonly StrainWindow[],
  metrics: readonly string[],
  namesOf: (sample: Sample) => string[],
): [string[], ProxySample[]][] {
  const samples = windows.flatMap((proxy) => proxy.last.map((sample) => ({ proxy, sample })));
  const wanted = samples.filter(({ sample }) => metrics.includes(sample.name));
  const groups = Map.groupBy(wanted, ({ sample }) => namesOf(sample).join('\n'));
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, group]) => [key.split('\n'), group]);
}
