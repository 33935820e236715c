import {
  type CallStatus,
  encodeStatusMessage,
  type GrpcStatus,
  grpcStatusCodes,
  parseCallStatus,
} from '../model/index.ts';
import type { HeaderList, RequestHead } from '../net/index.ts';

/** Milliseconds of the units of `grpc-timeout`. */
const units: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
const timeoutForm = /^(\d{1,8})([HMSmun])$/;
const mostDigits = 99_999_999;

/** What to the proxy is an HTTP status, in gRPC; the others are UNKNOWN. */
const statusOfHttp: Readonly<Record<number, GrpcStatus>> = {
  400: 'INTERNAL',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'UNIMPLEMENTED',
  // As google.rpc.Code maps it. Clients repeat by themselves what is UNAVAILABLE, which is not what a limit is for.
  429: 'RESOURCE_EXHAUSTED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'UNAVAILABLE',
};

/** Whether a request is a call of gRPC, whose caller reads a status in the trailers; gRPC-Web is not. */
export function isGrpc({ method, headers }: RequestHead): boolean {
  if (method !== 'POST') return false;
  const type = fieldAt(headers, 'content-type');
  return type >= 0 && /^application\/grpc(?:$|[+; \t])/i.test(headers[type]);
}

/** What a call of gRPC has beyond other exchanges: its caller's deadline, and a status of its own. */
export class Call {
  /** How it ended, as far as that is known. */
  status: CallStatus | undefined;
  /** Milliseconds the caller waits, from the arrival of the call on (gRPC over HTTP/2, "Requests"). */
  readonly timeout: number | undefined;
  readonly #headers: HeaderList;
  #timeoutAt: number;
  /** The field holds a time. */
  #stated: boolean;

  private constructor(headers: HeaderList) {
    this.#headers = headers;
    this.#timeoutAt = fieldAt(headers, 'grpc-timeout');
    this.timeout = this.#timeoutAt < 0 ? undefined : parseTimeout(headers[this.#timeoutAt]);
    this.#stated = this.timeout !== undefined;
  }

  /** `undefined` for other requests. */
  static of(head: RequestHead): Call | undefined {
    return isGrpc(head) ? new Call(head.headers) : undefined;
  }

  /** Has the next hop told how many milliseconds are left, be it that only a route sets a limit. */
  passOn(left: number | undefined): void {
    if (left === undefined) return;
    if (this.#timeoutAt < 0) {
      this.#timeoutAt = this.#headers.push('grpc-timeout', '') - 1;
      this.#stated = true;
    }
    // What it cannot read it leaves as it is.
    if (this.#stated) this.#headers[this.#timeoutAt] = formatTimeout(Math.max(0, left));
  }
}

/** The status that an answer of the proxy itself is told as. */
export function statusOfReply({ status, error }: { readonly status: number; readonly error: string }): GrpcStatus {
  if (error === 'http_response_timeout') return 'DEADLINE_EXCEEDED';
  return statusOfHttp[status] ?? 'UNKNOWN';
}

/**
 * The status that a caller reads in trailers, or in a head without a body; where none is given, what the HTTP status
 * means to it (gRPC, "HTTP to gRPC Status Code Mapping").
 */
export function statusOfTrailers(fields: HeaderList | undefined, httpStatus: number): CallStatus {
  const at = fields === undefined ? -1 : fieldAt(fields, 'grpc-status');
  if (at >= 0) return parseCallStatus(fields![at]);
  return httpStatus === 429 ? 'UNAVAILABLE' : (statusOfHttp[httpStatus] ?? 'UNKNOWN');
}

/** `grpc-status` and `grpc-message`. */
export function statusFields(status: GrpcStatus, message: string): HeaderList {
  return ['grpc-status', String(grpcStatusCodes[status]), 'grpc-message', encodeStatusMessage(message)];
}

function parseTimeout(value: string): number | undefined {
  const match = timeoutForm.exec(value);
  return match ? Number(match[1]) * units[match[2]] : undefined;
}

/** The finest unit in which the value has no more than eight digits. */
function formatTimeout(milliseconds: number): string {
  for (const unit of ['u', 'm', 'S']) {
    const value = Math.floor(milliseconds / units[unit]);
    if (value <= mostDigits) return `${value}${unit}`;
  }
  return `${Math.min(mostDigits, Math.floor(milliseconds / units.H))}H`;
}

/** Index of a field's first value; -1 when it is absent. */
function fieldAt(headers: HeaderList, name: string): number {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return i + 1;
  return -1;
}
