import { headerValue } from '../engine/index.ts';
import { decodeStatusMessage } from '../model/index.ts';
import type { HeaderList, RequestHead } from '../net/index.ts';
import { frameMessage, ProtobufWriter } from '../rpc/index.ts';

/** A unary call: the response's header fields may stand for its trailers where there is no message. */
type Call = (
  head: RequestHead,
  body: Buffer,
) => Promise<{ readonly status: number; headers: HeaderList; trailers: HeaderList; readonly body: Buffer }>;

/** `HealthCheckResponse.ServingStatus` of grpc.health.v1. */
const statuses = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
const serving = 1;

/** Asks a gRPC server for the health of a service, or with an empty name for its own. Resolves with what is wrong. */
export async function checkHealth(authority: string, service: string, call: Call): Promise<string | undefined> {
  const headers = ['content-type', 'application/grpc', 'te', 'trailers'];
  const path = '/grpc.health.v1.Health/Check';
  const head: RequestHead = { method: 'POST', scheme: 'http', authority, path, headers };
  // `HealthCheckRequest` has one field: `string service = 1`.
  const response = await call(head, frameMessage(new ProtobufWriter().string(1, service).finish()));
  if (response.status !== 200) return `the health check was answered with status ${response.status}`;
  const code = headerValue(response.trailers, 'grpc-status') ?? headerValue(response.headers, 'grpc-status');
  if (code !== '0') {
    const message =
      headerValue(response.trailers, 'grpc-message') ?? headerValue(response.headers, 'grpc-message') ?? '';
    return `the health check ended with gRPC status ${code ?? 'none'} ${decodeStatusMessage(message)}`.trimEnd();
  }
  const status = servingStatus(response.body);
  return status === serving ? undefined : `the service is ${statuses[status] ?? `in state ${status}`}`;
}

/** The message has one field, `ServingStatus status = 1`, which is not sent where it is 0. */
function servingStatus(body: Buffer): number {
  return body.length >= 7 && body[0] === 0 && body[5] === 0x08 ? body[6] : 0;
}
