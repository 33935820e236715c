import type { HeaderMatch } from './http.ts';
import type { ObjectReference } from './reference.ts';

/** The statuses of gRPC other than OK, by name. */
export const grpcStatusCodes = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type GrpcStatus = keyof typeof grpcStatusCodes;

/** The answer that the service seems to give. */
export type FaultAbort =
  | { readonly kind: 'http'; readonly status: number }
  | { readonly kind: 'grpc'; readonly status: GrpcStatus };

/** Something that goes wrong on purpose: a delay, an abort, or an abort after a delay. */
export interface Fault {
  readonly name: string;
  /** All must hold; empty means every request. */
  readonly headers: readonly HeaderMatch[];
  /** 0 to 100. */
  readonly percent: number;
  /** Milliseconds before the request goes on, or is answered. */
  readonly delay?: number;
  readonly abort?: FaultAbort;
}

/**
 * Faults that callers of a port meet instead of, or on the way to, the service: limits of time hold for them and they
 * are retried as if they were its own. A try meets one of them at most.
 */
export interface FaultPolicy {
  readonly policy: ObjectReference;
  readonly faults: readonly Fault[];
}
