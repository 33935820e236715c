import type { BreakerLimit, EjectionReason } from '../engine/index.ts';
import { type BreakerLimits, type Clock, describeReference, type QualifiedName } from '../model/index.ts';
import type { Breakers } from './breakers.ts';
import type { Clusters } from './cluster.ts';
import type { ProxyMetrics } from './metrics.ts';

/** What is under way of what a circuit breaker limits. */
interface BreakerState {
  /** A port of a service, a route, or a rule of one. */
  readonly target: string;
  readonly policy: string;
  readonly limits: readonly {
    readonly limit: BreakerLimit;
    readonly most: number;
    readonly inUse: number;
    readonly open: boolean;
  }[];
}

/** The endpoints of a port that are ejected. */
interface EjectionState {
  readonly service: QualifiedName;
  readonly port: number;
  /** Of how many. */
  readonly endpoints: number;
  readonly ejected: readonly {
    readonly address: string;
    readonly reason: EjectionReason;
    /** How many times in a row. */
    readonly times: number;
    /** Until it is tried again; 0 where that is due. */
    readonly millisecondsLeft: number;
  }[];
}

/** What the policies of a proxy that remember something have come to, as its admin port shows it. */
export interface ProxyState {
  readonly circuitBreakers: readonly BreakerState[];
  /** Of ports with outlier detection that were called. */
  readonly outlierDetection: readonly EjectionState[];
}

export function readState(breakers: Breakers, clusters: Clusters, clock: Clock): ProxyState {
  const now = clock.now();
  return {
    circuitBreakers: breakers.all.map((breaker) => ({
      target: breaker.target,
      policy: describeReference(breaker.settings.policy),
      limits: statedIn(breaker.settings.limits).map(([limit, most]) => ({
        limit,
        most,
        inUse: breaker.count(limit),
        open: breaker.isOpen(limit),
      })),
    })),
    outlierDetection: clusters.all
      .filter(({ detectsOutliers }) => detectsOutliers)
      .map(({ target: { service, port }, ejections, size }) => ({
        service,
        port,
        endpoints: size,
        ejected: ejections.map(({ state: { endpoint }, reason, times, until }) => ({
          address: `${endpoint.address}:${endpoint.ports[port]}`,
          reason,
          times,
          millisecondsLeft: Math.max(0, Math.round(until - now)),
        })),
      })),
  };
}

/** Sets the gauges to what is so now; `source` is the workload as its own metrics name it. */
export function showState(metrics: ProxyMetrics, state: ProxyState, source: string): void {
  const { breakerUse, breakerOpen, ejected } = metrics;
  // What is configured no more must not stay on show.
  for (const gauge of [breakerUse, breakerOpen, ejected]) gauge.clear();
  for (const { target, policy, limits } of state.circuitBreakers) {
    for (const { limit, inUse, open } of limits) {
      breakerUse.with(target, policy, limit).value = inUse;
      breakerOpen.with(target, policy, limit).value = open ? 1 : 0;
    }
  }
  for (const each of state.outlierDetection) {
    ejected.with(source, each.service, String(each.port)).value = each.ejected.length;
  }
}

function statedIn(limits: BreakerLimits): [BreakerLimit, number][] {
  return Object.entries(limits) as [BreakerLimit, number][];
}
