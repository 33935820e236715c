import type { RouteCircuitBreaker } from './circuit-breaker.ts';
import type { GrpcStatus } from './grpc.ts';
import type { ObjectReference, QualifiedName } from './reference.ts';

/** How the path of a request is compared. All forms see the normalised path without its query. */
export type PathMatch =
  | { readonly kind: 'exact'; readonly value: string }
  /** Whole segments: `/cart` matches `/cart` and `/cart/1`, not `/cartoon` (Gateway API `PathPrefix`). */
  | { readonly kind: 'prefix'; readonly value: string }
  /** The whole path must match; see {@link checkPattern} for what is allowed. */
  | { readonly kind: 'regex'; readonly value: string };

/** How one header or query value is compared. */
export type ValueMatch =
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'regex'; readonly value: string };

export interface HeaderMatch {
  /** Lower-case header name. */
  readonly name: string;
  readonly value: ValueMatch;
}

export interface QueryMatch {
  readonly name: string;
  readonly value: ValueMatch;
}

/** One alternative of a rule: every stated condition must hold. */
export interface HttpMatch {
  readonly path: PathMatch;
  readonly method?: string;
  readonly headers: readonly HeaderMatch[];
  readonly query: readonly QueryMatch[];
}

/** A header with its value, names lower-case. */
export interface HeaderValue {
  readonly name: string;
  readonly value: string;
}

/** Changes of a header list: removals first, then `set` replaces, then `add` appends. */
export interface HeaderChange {
  readonly set: readonly HeaderValue[];
  readonly add: readonly HeaderValue[];
  readonly remove: readonly string[];
}

/** How a path is replaced in a rewrite or redirect. */
export type PathChange =
  | { readonly kind: 'full'; readonly value: string }
  /** Replaces the prefix that the rule's prefix match matched. */
  | { readonly kind: 'prefix'; readonly value: string };

export interface Rewrite {
  readonly host?: string;
  readonly path?: PathChange;
}

/** Answers with a redirect instead of forwarding. Absent parts are kept from the request. */
export interface Redirect {
  readonly scheme?: 'http' | 'https';
  readonly host?: string;
  readonly port?: number;
  readonly path?: PathChange;
  readonly status: 301 | 302 | 303 | 307 | 308;
}

/** Where requests go: a port of a service. */
export interface BackendTarget {
  readonly service: QualifiedName;
  /** The service's port number. */
  readonly port: number;
}

export interface WeightedBackend {
  /** Absent when the reference cannot be resolved: its share of requests is answered 500 (Gateway API). */
  readonly target?: BackendTarget;
  /** Why `target` is absent. */
  readonly problem?: string;
  /** Share relative to the sum of all weights; 0 sends nothing. */
  readonly weight: number;
  readonly requestHeaders?: HeaderChange;
  readonly responseHeaders?: HeaderChange;
}

/** Copies a share of requests to another backend and ignores its answers. */
export interface Mirror {
  readonly target: BackendTarget;
  /** 0 to 100. */
  readonly percent: number;
}

/** Limits of time, in milliseconds. Absent or 0 means no limit. */
export interface Timeouts {
  /** From the first byte of the request to the last byte of the response, over all tries. */
  readonly request?: number;
  /** One try. */
  readonly backendRequest?: number;
  /** Without a byte in either direction, of a tunnel after an upgrade too. */
  readonly streamIdle?: number;
  /** As `request`, but the tunnel after an upgrade is limited as well. */
  readonly maxStreamDuration?: number;
}

/** Each limit of {@link Timeouts}. */
export const timeLimits = [
  'request',
  'backendRequest',
  'streamIdle',
  'maxStreamDuration',
] as const satisfies readonly (keyof Timeouts)[];

/**
 * When a failed try is repeated. Only requests that are safe to repeat are: idempotent methods (RFC 9110 section
 * 9.2.2), or any method when the peer certainly did not process it (connection failure, refused stream).
 */
export interface Retry {
  /** Tries beyond the first. */
  readonly attempts: number;
  /** Response status codes that count as a failed try. */
  readonly codes: readonly number[];
  /**
   * How a call of gRPC must end to count as a failed try. Whoever names one says that the calls may be repeated then,
   * as gRFC A6 has it: POST or not.
   */
  readonly grpcStatuses?: readonly GrpcStatus[];
  /** Milliseconds before the first repetition; doubled each time, with full jitter. */
  readonly backoff: number;
}

/**
 * A second try, of idempotent requests only, beside the first that has not begun to answer: whichever answers first is
 * passed on, and the other is given up.
 */
export interface Hedging {
  /** Milliseconds after which the second begins. */
  readonly delay: number;
}

/**
 * How many of the requests to a service may be repetitions, of those that one proxy sends (GEP-3388
 * `RetryConstraint`). What either of both allows is allowed.
 */
export interface RetryBudget {
  /** Percent of the requests of the last `interval`. */
  readonly percent: number;
  /** Milliseconds. */
  readonly interval: number;
  /** As many as this in any `interval` of its own, in milliseconds, however few requests there are. */
  readonly minRetryRate: { readonly count: number; readonly interval: number };
}

/** Holds where no policy says otherwise; the defaults of GEP-3388. */
export const defaultRetryBudget: RetryBudget = {
  percent: 20,
  interval: 10_000,
  minRetryRate: { count: 10, interval: 1000 },
};

/**
 * Which web pages of other origins may call a rule and read what it answers (Gateway API `HTTPCORSFilter`, GEP-1767;
 * Fetch section 3.3). In a list of methods or names, `*` stands alone.
 */
export interface Cors {
  /** `*`, or `scheme://host[:port]` in lower case without the scheme's own port; the host may be `*` or begin with `*.`. */
  readonly allowOrigins: readonly string[];
  /** Whether browsers may send cookies and other credentials with it. */
  readonly allowCredentials: boolean;
  /** Besides GET, HEAD and POST, which need no permission. */
  readonly allowMethods: readonly string[];
  /** Lower-case names. */
  readonly allowHeaders: readonly string[];
  /** Lower-case names. */
  readonly exposeHeaders: readonly string[];
  /** Seconds for which a browser may keep the answer to a preflight. */
  readonly maxAge: number;
}

/** What happens to a request that a rule matches. */
export type HttpAction =
  | { readonly kind: 'forward'; readonly backends: readonly WeightedBackend[] }
  | { readonly kind: 'redirect'; readonly redirect: Redirect };

/** One rule of an HTTPRoute or GRPCRoute. */
export interface HttpRule {
  readonly route: ObjectReference;
  /** The rule's own name, else its position in the route (`rule-0`). */
  readonly name: string;
  /** Alternatives; never empty. */
  readonly matches: readonly HttpMatch[];
  readonly requestHeaders?: HeaderChange;
  readonly responseHeaders?: HeaderChange;
  readonly rewrite?: Rewrite;
  readonly cors?: Cors;
  readonly mirrors: readonly Mirror[];
  readonly timeouts: Timeouts;
  readonly retry?: Retry;
  /** All must let a request through; absent where there are none. */
  readonly circuitBreakers?: readonly RouteCircuitBreaker[];
  readonly hedging?: Hedging;
  readonly action: HttpAction;
}

/** Rules that hold for some hosts. */
export interface VirtualHost {
  /** Lower-case host names; `*.example.com` matches any number of labels; `*` matches all. */
  readonly hostnames: readonly string[];
  readonly rules: readonly HttpRule[];
}

/** The services that rules lead to, by forwarding or mirroring; a service may stand there several times. */
export function targetsOf(rules: readonly HttpRule[]): QualifiedName[] {
  return rules.flatMap(({ action, mirrors }) => [
    ...(action.kind === 'forward' ? action.backends.flatMap(({ target }) => target?.service ?? []) : []),
    ...mirrors.map(({ target }) => target.service),
  ]);
}
