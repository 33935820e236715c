import { planRetry, type TryFailure } from '../engine/index.ts';
import type { Retry } from '../model/index.ts';
import type { RequestHead, ResponseHead } from '../net/index.ts';
import type { ExchangePlan, ProxyContext } from './exchange-plan.ts';
import { isGrpc, statusOfTrailers } from './grpc.ts';

/** Holds where no policy says otherwise, for what the peer certainly did not process and for connections that it left. */
const safeRetry: Retry = { attempts: 2, codes: [], backoff: 0 };

/** What is known of a request one of whose tries failed. */
export interface RetriedRequest {
  /** Tries so far. */
  readonly tries: number;
  /** Its body can be sent again. */
  readonly replayable: boolean;
  /** Milliseconds the exchange may take yet; absent without limit. */
  readonly timeLeft: number | undefined;
}

/** Whether a call of gRPC may be repeated for the status it ends with. */
export function readsStatus({ retry }: ExchangePlan, head: RequestHead): boolean {
  return retry?.grpcStatuses !== undefined && isGrpc(head);
}

/** Why an answer that begins so counts as a failed try; its gRPC status does where the call is read. */
export function failureOfAnswer(
  { retry }: ExchangePlan,
  { status, headers }: ResponseHead,
  complete: boolean,
  statusIsRead: boolean,
): TryFailure | undefined {
  if (retry?.codes.includes(status)) return { kind: 'status', status };
  // Once a call has answered more than how it ended, its caller may have seen it (gRFC A6).
  if (!statusIsRead || (status === 200 && !complete)) return undefined;
  const ended = statusOfTrailers(headers, status);
  return ended !== 'OK' && retry!.grpcStatuses!.includes(ended) ? { kind: 'grpc', status: ended } : undefined;
}

/** What a call of gRPC that broke, or took too long, looks like to its caller. */
export function failureOfCall({ retry }: ExchangePlan, failure: TryFailure): TryFailure {
  if (failure.kind !== 'broken' && failure.kind !== 'timeout') return failure;
  const status = failure.kind === 'timeout' ? 'DEADLINE_EXCEEDED' : 'UNAVAILABLE';
  return retry!.grpcStatuses!.includes(status) ? { kind: 'grpc', status } : failure;
}

/**
 * Milliseconds to wait before the next try; `undefined` when there is to be none. `left`: the peer had closed the
 * connection.
 */
export function delayOfNextTry(
  context: ProxyContext,
  plan: ExchangePlan,
  { method, upgrade }: RequestHead,
  { tries, replayable, timeLeft }: RetriedRequest,
  failure: TryFailure,
  left: boolean,
): number | undefined {
  // What an upgrade has begun on the other side cannot be known.
  if (upgrade !== undefined && failure.kind !== 'unprocessed') return undefined;
  const policy = plan.retry ?? (failure.kind === 'unprocessed' || left ? safeRetry : undefined);
  const failed = { method, failure, tries, replayable, ...(timeLeft !== undefined && { timeLeft }) };
  const planned = planRetry(policy, failed, plan.budget, context.random);
  if (planned.again) return planned.delay;
  if (planned.exhausted) countRefused(context, plan);
  return undefined;
}

/** Counts a try that the retry budget of the target did not allow. */
export function countRefused({ metrics }: ProxyContext, { service, route }: ExchangePlan): void {
  metrics.retriesRefused.with(service, route ?? '').add(1);
}
