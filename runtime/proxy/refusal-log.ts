import { headerValue } from '../engine/index.ts';
import type { RequestHead } from '../net/index.ts';
import { isoTime } from '../telemetry/index.ts';
import type { ExchangePlan, ProxyContext } from './exchange.ts';

/** Notes a request that policy kept from being an exchange; `source` names the caller. */
export function logRefusal(
  { accessLog, clock }: ProxyContext,
  { direction, service, mtls }: Pick<ExchangePlan, 'direction' | 'service' | 'mtls'>,
  { method, authority, path, headers }: RequestHead,
  source: string,
  status: number,
  error: string,
): void {
  if (!accessLog.enabled) return;
  const query = path.indexOf('?');
  accessLog.log({
    timestamp: isoTime(clock.wallTime()),
    direction,
    method,
    authority,
    path: query < 0 ? path : path.slice(0, query),
    status,
    duration_ms: 0,
    bytes_received: 0,
    bytes_sent: 0,
    source,
    service,
    request_id: headerValue(headers, 'x-request-id'),
    error,
    mtls,
  });
}
