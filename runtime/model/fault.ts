import type { GrpcStatus } from './grpc.ts';
import type { HeaderMatch } from './http.ts';
import type { ObjectReference } from './reference.ts';

/** The answer that the service seems to give. */
export type FaultAbort =
  | { readonly kind: 'http'; readonly status: number }
  | { readonly kind: 'grpc'; readonly status: GrpcStatus };

/** How fast bodies pass, in bytes a second. What is absent is not slowed down. */
export interface FaultBandwidth {
  readonly request?: number;
  readonly response?: number;
}

/** Something that goes wrong on purpose: a delay, an abort or little bandwidth, or one of both after a delay. */
export interface Fault {
  readonly name: string;
  /** All must hold; empty means every request. */
  readonly headers: readonly HeaderMatch[];
  /** 0 to 100. */
  readonly percent: number;
  /** Milliseconds before the request goes on, or is answered. */
  readonly delay?: number;
  readonly abort?: FaultAbort;
  /** Of what is not aborted. */
  readonly bandwidth?: FaultBandwidth;
}

/**
 * Faults that callers of a port meet instead of, or on the way to, the service: limits of time hold for them and they
 * are retried as if they were its own. A try meets one of them at most.
 */
export interface FaultPolicy {
  readonly policy: ObjectReference;
  readonly faults: readonly Fault[];
}
