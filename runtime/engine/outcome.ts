import type { CallStatus, GrpcStatus } from '../model/index.ts';

/**
 * What a try says of its endpoint. A gateway error is an error that tells of an endpoint which cannot be reached, or
 * is overloaded.
 */
export type Outcome = 'success' | 'error' | 'gateway-error';

const gatewayStatuses: ReadonlySet<number> = new Set([502, 503, 504]);

/** Statuses by which a server says of itself, not of the call, that something went wrong. */
const callErrors: Readonly<Partial<Record<GrpcStatus, Outcome>>> = {
  UNKNOWN: 'error',
  INTERNAL: 'error',
  DATA_LOSS: 'error',
  UNAVAILABLE: 'gateway-error',
  DEADLINE_EXCEEDED: 'gateway-error',
};

/** What the status of a response says. */
export function outcomeOfStatus(status: number): Outcome {
  if (status < 500) return 'success';
  return gatewayStatuses.has(status) ? 'gateway-error' : 'error';
}

/** What the status of a call of gRPC says. */
export function outcomeOfCall(status: CallStatus): Outcome {
  return (status !== 'OK' && callErrors[status]) || 'success';
}
