import type { Breaker, BreakerLimit, TryFailure } from '../engine/index.ts';
import { type ResetReason, TlsFailure } from '../net/index.ts';
import type { LocalReply } from './reply.ts';

/** Why an exchange failed, in Envoy's words (`%RESPONSE_FLAGS%`). */
export type ResponseFlag =
  /** No endpoint may be used. */
  | 'UH'
  /** No connection. */
  | 'UF'
  /** Too much is under way: a circuit breaker is open. */
  | 'UO'
  /** It took too long. */
  | 'UT'
  /** The stream took too long. */
  | 'UMSDR'
  /** Nothing moved. */
  | 'SI'
  /** The connection broke. */
  | 'UC'
  /** The upstream reset the stream. */
  | 'UR'
  /** The upstream broke the protocol. */
  | 'UPE'
  /** The caller gave up. */
  | 'DC';

/** Why a try failed, with the answer that the caller gets when there is no other try. */
export interface Failure {
  readonly cause: TryFailure;
  /** The peer left before it said anything: who stops closes connections, idle and new ones, as we write to them. */
  readonly left?: boolean;
  readonly reply: LocalReply;
  readonly flag: ResponseFlag;
  /** What callers from outside the mesh are told instead of the reply's details: no addresses, no identities. */
  readonly outside?: string;
}

/** There is nowhere to send it: no other proxy can know better. */
export function noEndpoint(target: string, outage: string | undefined): Failure {
  const outside = `${target} has no ready endpoint`;
  const details = outage ? `${outside}: ${outage}` : outside;
  const reply = { status: 503, error: 'destination_unavailable' as const, details };
  return { cause: { kind: 'broken' }, reply, outside, flag: 'UH' };
}

/** A circuit breaker does not let a try through: nobody has seen it, and nobody is to get it in its place. */
export class Overflow extends Error {
  readonly breaker: Breaker;
  readonly limit: BreakerLimit;

  constructor(breaker: Breaker, limit: BreakerLimit) {
    super(breaker.reason(limit));
    this.breaker = breaker;
    this.limit = limit;
  }
}

export function overflown(target: string, { message }: Overflow): Failure {
  const reply = { status: 503, error: 'connection_limit_reached' as const, details: message };
  return { cause: { kind: 'broken' }, reply, outside: `${target} has too much to do`, flag: 'UO' };
}

/** There was no connection to send it on. */
export function notConnected(target: string, address: string | undefined, error: Error): Failure {
  const outside = `no connection to ${target}`;
  const details = `${outside} at ${address}: ${error.message}`;
  // No replica is likely to do better than one whose TLS is not what its port says: callers are told at once.
  if (error instanceof TlsFailure) {
    const reply = { status: 503, error: 'tls_protocol_error' as const, details };
    return { cause: { kind: 'broken' }, reply, outside, flag: 'UF' };
  }
  return {
    cause: { kind: 'unprocessed' },
    reply: { status: 503, error: 'connection_refused', details },
    outside,
    flag: 'UF',
  };
}

export function tooSlow(target: string, limit: number): Failure {
  const details = `${target} did not answer within ${limit} ms`;
  return { cause: { kind: 'timeout' }, reply: { status: 504, error: 'http_response_timeout', details }, flag: 'UT' };
}

export function silent(limit: number): LocalReply {
  return { status: 504, error: 'http_response_timeout', details: `nothing was sent for ${limit} ms` };
}

/** The exchange broke before an answer came. */
export function brokenOff(target: string, reason: ResetReason, sent: boolean): Failure {
  // Refused, or never sent: the peer did not process it, so any method may go elsewhere (RFC 9113 section 8.7).
  const cause: TryFailure = reason === 'refused' || !sent ? { kind: 'unprocessed' } : { kind: 'broken' };
  return { cause, reply: replyTo(target, reason), left: reason === 'connection', flag: flagOf(reason) };
}

/** How Envoy tells it, whether the answer had begun or not. */
export function flagOf(reason: ResetReason): ResponseFlag {
  if (reason === 'connection') return 'UC';
  return reason === 'protocol' ? 'UPE' : 'UR';
}

function replyTo(target: string, reason: ResetReason): LocalReply {
  switch (reason) {
    case 'refused':
      return { status: 503, error: 'connection_refused', details: `${target} cannot take the request now` };
    case 'protocol':
      return { status: 502, error: 'http_protocol_error', details: `${target} answered with malformed HTTP` };
    case 'unsupported':
      return { status: 502, error: 'http_upgrade_failed', details: `${target} takes no upgrades over HTTP/2` };
    default: {
      const details = `${target} broke off before it answered (${reason})`;
      return { status: 502, error: 'connection_terminated', details };
    }
  }
}
