import type { TryFailure } from '../engine/index.ts';
import type { ResetReason } from '../net/index.ts';
import type { LocalReply } from './reply.ts';

/** Why a try failed, with the answer that the caller gets when there is no other try. */
export interface Failure {
  readonly cause: TryFailure;
  /** An idle connection that the peer closed as we wrote to it: no fault of the request. */
  readonly stale?: boolean;
  readonly reply: LocalReply;
  /** What callers from outside the mesh are told instead of the reply's details: no addresses, no identities. */
  readonly outside?: string;
}

/** There is nowhere to send it: no other proxy can know better. */
export function noEndpoint(target: string): Failure {
  const details = `${target} has no ready endpoint`;
  return { cause: { kind: 'broken' }, reply: { status: 503, error: 'destination_unavailable', details } };
}

/** There was no connection to send it on. */
export function notConnected(target: string, address: string | undefined, error: Error): Failure {
  const outside = `no connection to ${target}`;
  const details = `${outside} at ${address}: ${error.message}`;
  return { cause: { kind: 'unprocessed' }, reply: { status: 503, error: 'connection_refused', details }, outside };
}

export function tooSlow(target: string, limit: number): Failure {
  const details = `${target} did not answer within ${limit} ms`;
  return { cause: { kind: 'timeout' }, reply: { status: 504, error: 'http_response_timeout', details } };
}

/** The exchange broke before an answer came. */
export function brokenOff(target: string, reason: ResetReason, sent: boolean, reused: boolean): Failure {
  // Refused, or never sent: the peer did not process it, so any method may go elsewhere (RFC 9113 section 8.7).
  const cause: TryFailure = reason === 'refused' || !sent ? { kind: 'unprocessed' } : { kind: 'broken' };
  return { cause, reply: replyTo(target, reason), stale: reason === 'connection' && reused };
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
