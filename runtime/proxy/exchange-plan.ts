import type { Breaker, BreakerLimit, EndpointState, RetryAllowance } from '../engine/index.ts';
import type { CallStatus, Clock, Hedging, Random, Retry, Timeouts } from '../model/index.ts';
import type { ConnectionPool, HeaderList } from '../net/index.ts';
import type { AccessLog } from '../telemetry/index.ts';
import type { ProxyLimits } from './limits.ts';
import type { ProxyMetrics } from './metrics.ts';

/** What all exchanges of a proxy share. */
export interface ProxyContext {
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds that the event loop had nothing to do, in all. */
  readonly idleTime: () => number;
  /** Those in force; replaced as a whole when the Mesh says otherwise. */
  limits: ProxyLimits;
  readonly metrics: ProxyMetrics;
  readonly accessLog: AccessLog;
}

/** What becomes of the headers of a response. */
export type ChangeResponse = (headers: HeaderList) => HeaderList;

/** What a try gets its connection from. */
export type ConnectionSource = Pick<ConnectionPool, 'acquire' | 'forget'>;

/** One place a try can go to. */
export interface Upstream {
  readonly pool: ConnectionSource;
  /** For logs; absent where a fault answers instead. */
  readonly address?: string;
  /** For logs: what goes wrong on purpose. */
  readonly fault?: string;
  /** What the balancer knows of it; absent where there is nothing to balance. */
  readonly state?: EndpointState;
  /** The `set-cookie` that leads the client back here; absent where sessions do not count. */
  readonly session?: string;
}

/** A limit of time, as metrics name it. */
export type TimeLimit = keyof Timeouts | 'grpc-timeout';

/** What is done with the requests of one rule and backend: made when configuration arrives, shared by all of them. */
export interface ExchangePlan {
  readonly direction: 'inbound' | 'outbound' | 'gateway';
  readonly service: string;
  readonly target?: string;
  readonly route?: string;
  readonly mtls: boolean;
  /** They may be others for the next exchange. */
  readonly timeouts: Timeouts;
  readonly retry?: Retry;
  readonly hedging?: Hedging;
  readonly budget: RetryAllowance;
  /**
   * Whether the caller is a proxy that can send elsewhere what nobody has processed here: it is told so by resetting
   * the stream (REFUSED_STREAM, RFC 9113 section 8.7), where another caller gets 503.
   */
  readonly callerCanRetry: boolean;
  /** All must let a try through; absent where nothing is limited. */
  readonly breakers?: readonly Breaker[];
  /** Why there is no endpoint to pick, where more can be said than that there is none. */
  readonly outage?: string;
  /** Counts what one of the {@link breakers} did not let through. */
  countRefusal?(breaker: Breaker, limit: BreakerLimit): void;
  /** Counts what a limit of time ended. */
  countTimeout?(limit: TimeLimit): void;
  /**
   * Counts a finished exchange, or an upgrade when it is answered. Status 0 means that no response was sent; calls of
   * gRPC have a status of their own.
   */
  observe(status: number, seconds: number, callStatus: CallStatus | undefined): void;
  /** The next upstream, another than those tried where there is a choice; `undefined` when there is none at all. */
  pick(
    tried: ReadonlySet<EndpointState> | undefined,
    key: string | undefined,
    headers: HeaderList,
  ): Upstream | undefined;
  changeResponse?: ChangeResponse;
}
