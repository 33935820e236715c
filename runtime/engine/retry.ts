import type { GrpcStatus, Random, Retry, Timeouts } from '../model/index.ts';
import type { RetryAllowance } from './retry-budget.ts';

/** How a try failed. */
export type TryFailure =
  /** The peer certainly did not process it: no connection, or it refused the stream (RFC 9113 section 8.7). */
  | { readonly kind: 'unprocessed' }
  /** The exchange broke, or took longer than one try may, after it was sent. */
  | { readonly kind: 'broken' | 'timeout' }
  | { readonly kind: 'status'; readonly status: number }
  /** A call of gRPC ended so before it had answered anything. */
  | { readonly kind: 'grpc'; readonly status: GrpcStatus };

export interface FailedTry {
  readonly method: string;
  readonly failure: TryFailure;
  /** Tries made so far, this one included. */
  readonly tries: number;
  /** Whether the body is still held from its first byte on. */
  readonly replayable: boolean;
  /** Milliseconds the request has left; absent where it has no limit. */
  readonly timeLeft?: number;
}

export type RetryPlan =
  | { readonly again: true /** Milliseconds to wait. */; readonly delay: number }
  | { readonly again: false; readonly reason: string /** The budget alone forbids it. */; readonly exhausted?: true };

const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** Whether repeating the request has the same effect as sending it once (RFC 9110 section 9.2.2). */
export function isIdempotent(method: string): boolean {
  return idempotent.has(method);
}

/** Decides whether a failed try is repeated, and takes it from the budget if so. */
export function planRetry(
  retry: Retry | undefined,
  failed: FailedTry,
  budget: RetryAllowance,
  random: Random,
): RetryPlan {
  const { failure, method, tries, timeLeft } = failed;
  if (!retry) return no('the rule asks for no retries');
  if (failure.kind === 'status' && !retry.codes.includes(failure.status)) return no(`${failure.status} is not retried`);
  if (failure.kind === 'grpc' && !retry.grpcStatuses?.includes(failure.status))
    return no(`${failure.status} is not retried`);
  const allowed = failure.kind === 'unprocessed' || failure.kind === 'grpc';
  if (!allowed && !isIdempotent(method)) return no(`${method} may have been processed`);
  if (tries > retry.attempts) return no(`all ${retry.attempts} retries are used`);
  if (!failed.replayable) return no('the body is not held any more');
  const delay = backoffDelay(retry, tries, random);
  if (timeLeft !== undefined && delay >= timeLeft) return no('no time is left');
  if (!budget.withdraw()) return { ...no('the retry budget is used up'), exhausted: true };
  return { again: true, delay };
}

function no(reason: string): RetryPlan & { readonly again: false } {
  return { again: false, reason };
}

const maxDoublings = 6;

/** Milliseconds before repetition number `attempt`, counted from 1: doubled each time, with full jitter. */
export function backoffDelay(retry: Retry, attempt: number, random: Random): number {
  return random() * retry.backoff * 2 ** Math.min(attempt - 1, maxDoublings);
}

/** Milliseconds the next try may take when `elapsed` of the request are gone; `undefined` without limit. */
export function tryTimeout(timeouts: Timeouts, elapsed: number): number | undefined {
  const left = timeouts.request ? Math.max(0, timeouts.request - elapsed) : undefined;
  if (!timeouts.backendRequest) return left;
  return left === undefined ? timeouts.backendRequest : Math.min(left, timeouts.backendRequest);
}
