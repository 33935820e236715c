import type {
  BackendTarget,
  HeaderChange,
  Hedging,
  HttpMatch,
  HttpRule,
  Mirror,
  OutlierDetection,
  QualifiedName,
  Retry,
  RetryBudget,
  Timeouts,
} from '../model/index.ts';
import type { BreakerConsideration } from './circuit-breaker.ts';
import type { ConnectionDecision } from './connection-router.ts';
import type { AccessExplanation, RouteExplanation } from './explain.ts';
import type { FaultConsideration } from './fault.ts';
import { headersByName } from './headers.ts';
import type { BalancingDecision } from './load-balancing/index.ts';
import { formatTarget } from './path.ts';
import type { RateLimitConsideration } from './rate-limit.ts';
import type { HttpRequest } from './request.ts';

/** A request to decide about, as its sender would write it. */
export interface SimulatedRequest {
  /** The workload that sends it; absent for a client outside the mesh, which has no identity. */
  readonly from?: QualifiedName;
  /** The gateway it enters by, from outside the mesh. */
  readonly gateway?: QualifiedName;
  /** Address of who sends it, without port: of a client without identity. Not known where it is absent. */
  readonly client?: string;
  /** Host with optional port (80 if absent), for example `reviews.shop:9080`. */
  readonly to: string;
  /** `GET` if absent. */
  readonly method?: string;
  /** Path with query; `/` if absent. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** The server that its TLS handshake names, where its port passes TLS on; absent where it names none. */
  readonly serverName?: string;
}

/** What happens to a request, and why, at the sending and the receiving end. */
export interface Decision {
  readonly outcome: 'forward' | 'redirect' | 'answer' | 'refuse';
  /** Of the answer, where the request is not forwarded. */
  readonly status?: number;
  readonly reason: string;
  /** The port of the service that was asked for; absent at a gateway. */
  readonly service?: BackendTarget;
  /** What a gateway makes of the address of its client; absent where that is not known. */
  readonly client?: ClientDecision;
  readonly rule?: HttpRule;
  /** The alternative of the rule that matched. */
  readonly match?: HttpMatch;
  /** Why this rule and none of the others; absent on TCP ports. */
  readonly route?: RouteExplanation;
  /** What decided about a connection; absent where it is a request that was decided about. */
  readonly connection?: ConnectionDecision;
  /** Of a redirect. */
  readonly location?: string;
  /** What the rule says of the request's origin; absent where it says nothing of origins. */
  readonly cors?: CorsDecision;
  /** Of the rule, or of its targets where they all have the same. */
  readonly timeouts: Timeouts;
  readonly retry?: Retry;
  readonly hedging?: Hedging;
  readonly mirrors: readonly Mirror[];
  readonly targets: readonly TargetDecision[];
  /** The probability that the request reaches an application where it meets no fault. */
  readonly delivered: number;
}

/** Whether a web page of another origin may read what is answered. */
export interface CorsDecision {
  /** Absent where the request names none. */
  readonly origin?: string;
  readonly allowed: boolean;
  readonly reason: string;
  /** The fields that the answer has: `[name, value, …]`, names lower-case. */
  readonly fields: readonly string[];
}

/** What a proxy makes of the address of a caller without identity. */
export interface ClientDecision {
  readonly address: string;
  /** Whether what it says of its own clients counts. */
  readonly trusted: boolean;
  readonly reason: string;
}

/** One backend that the request can go to. */
export interface TargetDecision {
  readonly probability: number;
  /** Absent when the backend cannot be resolved. */
  readonly target?: BackendTarget;
  /** The answer of the sending end, where it cannot forward. */
  readonly status?: number;
  readonly problem?: string;
  /** The request as it is forwarded; absent on TCP ports and where it is not forwarded. */
  readonly request?: HttpRequest;
  /** Changes of the request's headers, in the order they are applied. */
  readonly requestHeaders: readonly HeaderChange[];
  /** Changes of the response, in the order they are applied. */
  readonly responseHeaders: readonly HeaderChange[];
  /** How many of the requests to it may be repetitions; absent where it is not resolved. */
  readonly retryBudget?: RetryBudget;
  /** How one of its endpoints is chosen; absent where there is none. */
  readonly balancing?: BalancingDecision;
  /** What limits how much the sender has under way there; absent where nothing does. */
  readonly circuitBreakers?: readonly BreakerConsideration[];
  /** When the sender leaves an endpoint alone; absent where it never does. */
  readonly outlierDetection?: OutlierDetection;
  /** What limits the time of requests that go there; absent where they are not forwarded. */
  readonly timeouts?: Timeouts;
  /** What goes wrong on purpose on the way there; absent where nothing does. */
  readonly faults?: readonly FaultConsideration[];
  readonly receivers: readonly ReceiverDecision[];
}

/** The endpoints of one workload behind a target. */
export interface ReceiverDecision {
  /** Absent for endpoints outside the mesh. */
  readonly workload?: QualifiedName;
  /** Of the whole request, assuming that all endpoints answer alike. */
  readonly probability: number;
  readonly mtls: boolean;
  /** What it makes of the address of a caller in plain text; absent where that is not known, or nothing looks at it. */
  readonly client?: ClientDecision;
  /** As it gives it to the application; absent where that is the request that was sent, or none is. */
  readonly request?: HttpRequest;
  readonly allowed: boolean;
  readonly reason: string;
  /** Absent where no rule was asked: outside the mesh, or refused for want of a certificate. */
  readonly access?: AccessExplanation;
  /** The rate limits of the port; absent where it has none, or does not let the request through anyway. */
  readonly limits?: readonly RateLimitConsideration[];
}

/** A request as its target sees it. */
export interface ForwardedRequest {
  /** With its query. */
  readonly path: string;
  /** With its port, unless a rule gives it another. */
  readonly host: string;
  /** By lower-case name, several of one name joined; without `host`. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What the target of a decision sees; `undefined` where nothing is forwarded. */
export function forwardedTo({ request: sent, receivers: [first] }: TargetDecision): ForwardedRequest | undefined {
  const request = first?.request ?? sent;
  if (!request) return undefined;
  const { host: _, ...headers } = headersByName(request.headers);
  return { path: formatTarget(request), host: request.authority, headers };
}

/** The status of the answer where every try meets an abort with the same one. */
export function abortStatus({ targets }: Decision): number | undefined {
  const statuses = new Set<number | undefined>();
  for (const { faults = [] } of targets) {
    let left = 1;
    for (const { fault, probability } of faults) {
      left -= probability;
      if (probability > 0) statuses.add(fault.abort?.kind === 'http' ? fault.abort.status : undefined);
    }
    // Probabilities are sums of fractions.
    if (left > 1e-9) return undefined;
  }
  return statuses.size === 1 ? [...statuses][0] : undefined;
}
