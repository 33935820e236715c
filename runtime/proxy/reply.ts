import type { HeaderList, RequestHead, RequestReceiver, ResponseHead, ServerStream } from '../net/index.ts';
import { isGrpc, statusFields, statusOfReply } from './grpc.ts';

/** Why the proxy answers itself, in the words of RFC 9209 section 2.3. */
export type ProxyError =
  | 'http_request_error'
  | 'http_request_denied'
  | 'destination_not_found'
  | 'destination_unavailable'
  | 'connection_limit_reached'
  | 'connection_refused'
  | 'connection_terminated'
  | 'connection_timeout'
  | 'tls_protocol_error'
  | 'http_response_timeout'
  | 'http_upgrade_failed'
  | 'http_protocol_error'
  | 'proxy_internal_error'
  | 'proxy_internal_response';

/** An answer that comes from the proxy, not from a service. */
export interface LocalReply {
  readonly status: number;
  readonly error: ProxyError;
  /** In the user's words; shown to the caller. */
  readonly details: string;
  /** Further header fields. */
  readonly headers?: HeaderList;
}

/**
 * Answers a request that goes nowhere. The reason travels in `proxy-status` (RFC 9209) and in the body. Who calls by
 * gRPC gets a status of gRPC, which is trailers only.
 */
export function replyLocally(stream: ServerStream, head: RequestHead, reply: LocalReply): void {
  if (isGrpc(head)) {
    stream.respond(grpcHead(reply), true);
    return;
  }
  const body = Buffer.from(`${reply.details}\n`);
  const headers: HeaderList = [
    'content-type',
    'text/plain; charset=utf-8',
    'content-length',
    String(body.length),
    ...reasonFields(reply),
  ];
  if (head.method === 'HEAD') {
    stream.respond({ status: reply.status, headers }, true);
    return;
  }
  stream.respond({ status: reply.status, headers }, false);
  stream.write(body);
  stream.end();
}

/** The answer without a body. */
export function headOnly(reply: LocalReply): ResponseHead {
  return { status: reply.status, headers: reasonFields(reply) };
}

/** The answer to a call of gRPC, which is trailers only. */
export function grpcHead(reply: LocalReply): ResponseHead {
  const status = statusFields(statusOfReply(reply), reply.details);
  return { status: 200, headers: ['content-type', 'application/grpc', ...status, ...reasonFields(reply)] };
}

function reasonFields(reply: LocalReply): HeaderList {
  return ['proxy-status', proxyStatus(reply.error, reply.details), ...(reply.headers ?? [])];
}

/** Takes nothing more of a request that was answered already. */
export const ignoreBody: RequestReceiver = { onData() {}, onEnd() {}, onReset() {}, onDrain() {} };

/** The value of `proxy-status` (RFC 9209). */
export function proxyStatus(error: ProxyError, details: string): string {
  return `meshwright; error=${error}; details=${structuredString(details)}`;
}

/** A structured-field string holds printable ASCII only (RFC 8941 section 3.3.3). */
function structuredString(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`;
}
