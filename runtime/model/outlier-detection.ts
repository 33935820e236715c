import type { ObjectReference } from './reference.ts';

/**
 * When an endpoint that fails is left alone, and for how long. Each proxy judges by what it sees itself: responses with
 * a status of 5xx (of calls: UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS), connections that are refused
 * or break, and tries that take too long. On a TCP port a connection that cannot be made is a failure.
 */
export interface OutlierDetection {
  readonly policy: ObjectReference;
  /** So many failures in a row. */
  readonly consecutiveErrors?: number;
  /**
   * So many failures in a row that tell of an endpoint which cannot be reached or is overloaded: 502, 503, 504 (of calls:
   * UNAVAILABLE, DEADLINE_EXCEEDED), broken connections, and tries that take too long.
   */
  readonly consecutiveGatewayErrors?: number;
  readonly failurePercentage?: FailurePercentage;
  /** Milliseconds of the first ejection; the nth in a row takes n times as long. */
  readonly baseEjectionTime: number;
  /** Milliseconds that no ejection exceeds by more than the tenth that chance may add. */
  readonly maxEjectionTime: number;
  /** The part of the endpoints that may be out at once, in percent, rounded down to whole endpoints. */
  readonly maxEjectionPercent: number;
}

/** A share of failures within an interval. */
export interface FailurePercentage {
  /** Percent that is too much. */
  readonly threshold: number;
  /** With fewer in the interval, nothing is said of an endpoint. */
  readonly minRequests: number;
  /** Milliseconds. */
  readonly interval: number;
}
