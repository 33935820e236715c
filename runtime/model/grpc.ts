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

/** How a call ended. */
export type CallStatus = 'OK' | GrpcStatus;

const callStatuses: readonly CallStatus[] = ['OK', ...(Object.keys(grpcStatusCodes) as GrpcStatus[])];

/** What the field `grpc-status` says; UNKNOWN where it is absent, or no status there is. */
export function parseCallStatus(code: string | undefined): CallStatus {
  return (code !== undefined && /^\d{1,2}$/.test(code) && callStatuses[Number(code)]) || 'UNKNOWN';
}

/** A message as the field `grpc-message` has it: what is not printable ASCII is percent-encoded UTF-8 (gRPC over HTTP/2, "Responses"). */
export function encodeStatusMessage(message: string): string {
  return message.toWellFormed().replace(/[^ -$&-~]+/g, encodeURIComponent);
}

/** The opposite of {@link encodeStatusMessage}; what is not encoded like that stays as it is. */
export function decodeStatusMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
