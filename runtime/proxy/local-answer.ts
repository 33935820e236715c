import type { RequestHead, RequestReceiver, ResponseHead, ServerStream } from '../net/index.ts';
import type { ExchangePlan, ProxyContext } from './exchange-plan.ts';
import { isGrpc, statusOfReply } from './grpc.ts';
import { ignoreBody, type LocalReply, replyLocally } from './reply.ts';
import { logRequest } from './request-log.ts';

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
  log(context, scope, head, reply, source);
  replyLocally(stream, head, reply);
  return ignoreBody;
}

/** Answers with a head that a rule asks for, a redirect for example, and logs that. */
export function respondLocally(
  context: ProxyContext,
  scope: AnswerScope,
  head: RequestHead,
  stream: ServerStream,
  { status, headers }: ResponseHead,
  source: string,
): RequestReceiver {
  log(context, scope, head, { status }, source);
  stream.respond({ status, headers }, true);
  return ignoreBody;
}

function log(
  context: ProxyContext,
  { mtls = false, ...scope }: AnswerScope,
  head: RequestHead,
  answer: Partial<LocalReply> & Pick<LocalReply, 'status'>,
  source: string,
): void {
  const { status, error, details } = answer;
  const { direction, service, route } = scope;
  const plan = { direction, service, route, mtls };
  const callStatus = error && isGrpc(head) ? statusOfReply({ status, error }) : undefined;
  logRequest(context, plan, head, { status, callStatus, duration: 0, received: 0, sent: 0, source, error: details });
}
