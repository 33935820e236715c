import type { ObjectReference } from './reference.ts';

/** How much of each kind one proxy has under way to a target at once; what is absent is not limited. */
export interface BreakerLimits {
  /** Connections that are open or being made, to all endpoints together. Each endpoint may have one in any case. */
  readonly connections?: number;
  /** Tries that wait for a connection, or for a stream on one. */
  readonly pending?: number;
  /** Tries under way, from when they begin to the end of their response. */
  readonly requests?: number;
}

/** Keeps a caller from sending more than a target can take: what is beyond a limit is answered 503 at once. */
export interface CircuitBreaker {
  readonly policy: ObjectReference;
  readonly limits: BreakerLimits;
}

/** What holds for requests of one rule. */
export interface RouteCircuitBreaker extends CircuitBreaker {
  /** All rules of the route are counted together; absent: this one alone. */
  readonly wholeRoute?: true;
}
