import type { OperationMatch } from './access.ts';
import type { ObjectReference } from './reference.ts';

/** What is counted apart: each value has a bucket of its own. */
export type RateLimitKey =
  /** Everything together. */
  | { readonly kind: 'total' }
  /** By identity; callers without one share a bucket. */
  | { readonly kind: 'caller' }
  /** By the value of a header, its name lower-case; requests without it share a bucket. */
  | { readonly kind: 'header'; readonly name: string };

/** A token bucket of one proxy. A request takes a token; on a TCP port, a new connection does. */
export interface RateLimit {
  readonly name: string;
  /** Tokens a bucket regains in each interval, evenly over time. */
  readonly requests: number;
  /** Milliseconds. */
  readonly interval: number;
  /** Tokens of a full bucket. */
  readonly burst: number;
  readonly key: RateLimitKey;
  /** Alternatives; empty means every operation. */
  readonly to: readonly OperationMatch[];
}

/** How much a workload takes. All limits that count a request must have a token for it. */
export interface RateLimitPolicy {
  readonly policy: ObjectReference;
  /** Container ports it holds for; absent means all. */
  readonly ports?: readonly number[];
  /** Answers tell what is left of its limits, also those that let a request through. */
  readonly headers?: 'always';
  readonly limits: readonly RateLimit[];
}
