import { headerValue } from '../engine/index.ts';
import type { RequestHead, RequestReceiver, ServerStream } from '../net/index.ts';
import { isoTime } from '../telemetry/index.ts';
import type { ExchangePlan, ProxyContext } from './exchange.ts';
import { ignoreBody, type LocalReply, refuse } from './reply.ts';

/** Whose request it was that the proxy answers itself. */
type AnswerScope = Pick<ExchangePlan, 'direction' | 'service' | 'route'> & { readonly mtls?: boolean };

/** Answers a request that becomes no exchange, counts and logs it; `source` names the caller. */
export function answerLocally(
  context: ProxyContext,
  scope: AnswerScope,
  head: RequestHead,
  stream: ServerStream,
  reply: LocalReply,
  source: string,
): RequestReceiver {
  context.metrics.localReplies.with(scope.direction, scope.service, reply.error).add(1);
  log(context, scope, head, reply.status, source, reply.details);
  return refuse(stream, head, reply);
}

/** Sends a caller to another place, and logs that. */
export function redirectLocally(
  context: ProxyContext,
  scope: AnswerScope,
  head: RequestHead,
  stream: ServerStream,
  { status, location }: { readonly status: number; readonly location: string },
  source: string,
): RequestReceiver {
  log(context, scope, head, status, source, undefined);
  stream.respond({ status, headers: ['location', location, 'content-length', '0'] }, true);
  return ignoreBody;
}

function log(
  { accessLog, clock }: ProxyContext,
  { direction, service, route, mtls = false }: AnswerScope,
  { method, authority, path, headers }: RequestHead,
  status: number,
  source: string,
  error: string | undefined,
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
    route,
    request_id: headerValue(headers, 'x-request-id'),
    error,
    mtls,
  });
}
