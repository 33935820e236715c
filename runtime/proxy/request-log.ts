import { headerValue } from '../engine/index.ts';
import type { CallStatus } from '../model/index.ts';
import type { RequestHead } from '../net/index.ts';
import { isoTime } from '../telemetry/index.ts';
import type { ResponseFlag } from './exchange-failure.ts';
import type { ExchangePlan, ProxyContext } from './exchange-plan.ts';

/** What became of a request. */
export interface RequestOutcome {
  /** 0 where no response was sent. */
  readonly status: number;
  /** Of calls of gRPC. */
  readonly callStatus?: CallStatus;
  /** Milliseconds. */
  readonly duration: number;
  /** Bytes of the bodies. */
  readonly received: number;
  readonly sent: number;
  /** Who called. */
  readonly source: string;
  readonly upstream?: string;
  /** What went wrong on purpose. */
  readonly fault?: string;
  readonly retries?: number;
  readonly error?: string;
  readonly flag?: ResponseFlag;
}

/** Writes a finished request to the access log. */
export function logRequest(
  { accessLog, clock }: ProxyContext,
  plan: Pick<ExchangePlan, 'direction' | 'service' | 'target' | 'route' | 'mtls'>,
  { method, authority, path, headers }: RequestHead,
  outcome: RequestOutcome,
): void {
  if (!accessLog.enabled) return;
  const query = path.indexOf('?');
  accessLog.log({
    timestamp: isoTime(clock.wallTime()),
    direction: plan.direction,
    method,
    authority,
    path: query < 0 ? path : path.slice(0, query),
    status: outcome.status,
    grpc_status: outcome.callStatus,
    duration_ms: outcome.duration,
    bytes_received: outcome.received,
    bytes_sent: outcome.sent,
    source: outcome.source,
    service: plan.service,
    target: plan.target,
    route: plan.route,
    upstream: outcome.upstream,
    fault: outcome.fault,
    request_id: headerValue(headers, 'x-request-id'),
    retries: outcome.retries,
    error: outcome.error,
    response_flags: outcome.flag,
    mtls: plan.mtls,
  });
}
