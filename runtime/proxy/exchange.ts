import { withoutForwarded } from '../engine/index.ts';
import type { Timeouts, Timer } from '../model/index.ts';
import type {
  HeaderList,
  RequestHead,
  RequestReceiver,
  ResetReason,
  ResponseHead,
  ServerStream,
} from '../net/index.ts';
import { type Failure, flagOf, type ResponseFlag, silent, tooSlow } from './exchange-failure.ts';
import type { ChangeResponse, ExchangePlan, ProxyContext, TimeLimit } from './exchange-plan.ts';
import { Tries, type TriesOwner } from './exchange-tries.ts';
import { Call, statusFields, statusOfReply, statusOfTrailers } from './grpc.ts';
import { IdleWatch } from './idle-watch.ts';
import { type LocalReply, replyLocally } from './reply.ts';
import { RequestBody } from './request-body.ts';
import { logRequest } from './request-log.ts';

/** Carries one request to an upstream and its response back, over several tries where that is safe. */
export class Exchange implements TriesOwner {
  readonly body: RequestBody;
  /** Called when it is over, which may be before the request has ended. */
  onceOver: (() => void) | undefined;
  readonly #context: ProxyContext;
  readonly #plan: ExchangePlan;
  readonly #downstream: ServerStream;
  readonly #head: RequestHead;
  readonly #source: string;
  readonly #started: number;
  readonly #change: ChangeResponse | undefined;
  readonly #tries: Tries;
  readonly #call: Call | undefined;
  readonly #timeouts: Timeouts;
  /** Milliseconds it may take, and which of the limits of its route and its caller that is. */
  #limit: number | undefined;
  #limitName: TimeLimit = 'request';
  #timer: Timer | undefined;
  /** An upgrade has made a tunnel of it. */
  #tunnel = false;
  /** Present for a tunnel, and where silence is limited. */
  #silence: IdleWatch | undefined;

  #status = 0;
  #responseStarted = false;
  #responseEnded = false;
  #done = false;
  #flag: ResponseFlag | undefined;
  /** Body bytes of the response. */
  #sent = 0;

  /**
   * `source` names the caller for the access log, `key` is what the balancer reads of the request; `change` is the last
   * to change the headers of whatever is answered. With `ended`, the request has no body.
   */
  constructor(
    context: ProxyContext,
    plan: ExchangePlan,
    downstream: ServerStream,
    head: RequestHead,
    ended: boolean,
    source: string,
    key?: string,
    change?: ChangeResponse,
  ) {
    this.body = new RequestBody(ended, context.limits.replayBytes);
    this.#context = context;
    this.#plan = plan;
    this.#downstream = downstream;
    this.#head = head;
    this.#source = source;
    this.#started = context.clock.now();
    this.#change = change;
    this.#tries = new Tries(context, plan, head, key, this);
    this.#call = Call.of(head);
    this.#timeouts = plan.timeouts;
    const { request, maxStreamDuration } = plan.timeouts;
    this.#limitTo(request || undefined, 'request');
    this.#limitTo(maxStreamDuration || undefined, 'maxStreamDuration');
    this.#limitTo(this.#call?.timeout, 'grpc-timeout');
  }

  /** Starts the first try and returns who takes the request's body. */
  start(): RequestReceiver {
    this.#context.metrics.activeRequests.add(1);
    this.#plan.budget.deposit(this.#started);
    // Nothing of a tunnel passes before both ends agreed on it.
    if (this.#head.upgrade !== undefined) this.#downstream.pause();
    const limit = this.#limit;
    if (limit !== undefined) this.#timer = this.#context.clock.schedule(limit, () => this.#onTimeout());
    if (this.#timeouts.streamIdle) this.#limitSilence(this.#timeouts.streamIdle);
    if (limit === 0) this.#onTimeout();
    else this.#tries.start();
    return new RequestSide(this);
  }

  get timeLeft(): number | undefined {
    return this.#limit === undefined ? undefined : this.#limit - (this.#context.clock.now() - this.#started);
  }

  onSend(): void {
    if (this.#call) this.#call.passOn(this.timeLeft);
  }

  onSent(): void {
    if (!this.body.ended) this.#downstream.resume();
  }

  onInformational(head: ResponseHead): void {
    this.#downstream.informational(head);
  }

  onResponse(head: ResponseHead, end: boolean): void {
    const { status } = head;
    if (this.#tries.onHead(head, end)) return;
    this.#status = status;
    this.#responseStarted = true;
    // It is not sent again, and the answer may take hours.
    this.body.forget();
    this.#silence?.touch();
    if (status === 101) this.#openTunnel();
    if (end && this.#call) this.#call.status = statusOfTrailers(head.headers, status);
    const { changeResponse } = this.#plan;
    if (changeResponse) head.headers = changeResponse(head.headers);
    const { session } = this.#tries;
    if (session !== undefined) head.headers.push('set-cookie', session);
    if (this.#change) head.headers = this.#change(head.headers);
    this.#downstream.respond(head, end);
    if (end) this.#finish(undefined);
    else if (this.#tunnel) this.#downstream.resume();
  }

  onData(chunk: Buffer): void {
    this.#sent += chunk.length;
    this.#silence?.touch();
    if (!this.#downstream.write(chunk)) this.#tries.stream?.pause();
  }

  onEnd(trailers: HeaderList | undefined): void {
    this.#responseEnded = true;
    if (this.#call) this.#call.status = statusOfTrailers(trailers, this.#status);
    this.#downstream.end(trailers);
    if (!this.#tunnel || this.body.ended) this.#finish(undefined);
  }

  onReset(reason: ResetReason): void {
    if (!this.#responseStarted) {
      this.#tries.onReset(reason);
      return;
    }
    this.#tries.stream = undefined;
    if (this.#call) this.#call.status = 'UNAVAILABLE';
    this.#downstream.reset(reason);
    this.#flag = flagOf(reason);
    this.#finish(`the upstream broke off its ${this.#tunnel ? 'tunnel' : 'response'} (${reason})`);
  }

  /** The upstream takes request bytes again. */
  onDrain(): void {
    this.#downstream.resume();
  }

  onRequestData(chunk: Buffer): void {
    if (this.#done) return;
    this.#silence?.touch();
    if (!this.body.pass(chunk, this.#tries.stream)) this.#downstream.pause();
  }

  onRequestEnd(trailers: HeaderList | undefined): void {
    if (this.#done) return;
    // Proxies speak of callers in heads only; applications may not tell trailers from those.
    this.body.end(trailers && withoutForwarded(trailers), this.#tries.stream);
    if (this.#responseEnded) this.#finish(undefined);
  }

  /** The caller gave up or broke the protocol. */
  onRequestReset(reason: ResetReason): void {
    if (this.#done) return;
    this.#tries.stop();
    // No failure of the endpoint, but it took at least as long as this.
    this.#tries.end(false);
    if (this.#call) this.#call.status = 'CANCELLED';
    this.#flag = 'DC';
    this.#finish(`the caller broke off (${reason})`);
  }

  /** The caller reads again. */
  onResponseDrain(): void {
    this.#tries.stream?.resume();
  }

  onFailure({ cause, reply, outside, flag }: Failure): void {
    this.#flag = flag;
    if (cause.kind !== 'unprocessed' || !this.#plan.callerCanRetry) {
      this.#reply(reply, outside);
      return;
    }
    this.#status = reply.status;
    if (this.#call) this.#call.status = statusOfReply(reply);
    this.#downstream.reset('refused');
    this.#finish(reply.details);
  }

  onLateResponse(limit: number): void {
    this.#abandon(true);
    this.#breakOff(tooLate(limit), 'UT');
  }

  /** Callers of gRPC can be told even now. */
  #breakOff(details: string, flag: ResponseFlag): void {
    this.#flag = flag;
    if (this.#call) {
      this.#call.status = 'DEADLINE_EXCEEDED';
      this.#downstream.end(statusFields('DEADLINE_EXCEEDED', details));
    } else {
      this.#downstream.reset('internal');
    }
    this.#finish(details);
  }

  /** From now on there are two streams of bytes, which may take as long as they move. */
  #openTunnel(): void {
    const { clock, limits } = this.#context;
    this.#timer?.cancel();
    this.#tries.unlimit();
    const elapsed = clock.now() - this.#started;
    this.#plan.observe(this.#status, elapsed / 1000, undefined);
    this.#tunnel = true;
    if (!this.#silence) this.#limitSilence(limits.tcpIdleTimeout);
    const { maxStreamDuration } = this.#timeouts;
    if (!maxStreamDuration) return;
    this.#limit = maxStreamDuration;
    this.#limitName = 'maxStreamDuration';
    this.#timer = clock.schedule(Math.max(0, maxStreamDuration - elapsed), () => this.#onTimeout());
  }

  #limitSilence(limit: number): void {
    this.#silence = new IdleWatch(this.#context.clock, limit, () => this.#onSilence(limit));
  }

  #onSilence(limit: number): void {
    if (this.#timeouts.streamIdle) this.#plan.countTimeout?.('streamIdle');
    // Who has the whole request owes an answer; before, it may be the caller who says nothing.
    this.#abandon(!this.#tunnel && this.body.ended);
    const reply = silent(limit);
    this.#expire(reply, reply.details, 'SI');
  }

  #onTimeout(): void {
    const limit = this.#limit!;
    const name = this.#limitName;
    this.#plan.countTimeout?.(name);
    // Whose caller waits for less than its rule allows gives up, as others do by breaking off.
    const isCallers = name === 'grpc-timeout' && limit !== this.#timeouts.backendRequest;
    this.#abandon(!this.#tunnel && !isCallers);
    const details = this.#tunnel ? `the tunnel lasted longer than ${limit} ms` : tooLate(limit);
    this.#expire(tooSlow(this.#tries.target, limit).reply, details, name === 'maxStreamDuration' ? 'UMSDR' : 'UT');
  }

  /** Answers with `reply`, or where that is too late ends with `details`, since a limit of time was reached. */
  #expire(reply: LocalReply, details: string, flag: ResponseFlag): void {
    if (this.#tunnel) {
      this.#flag = flag;
      this.#downstream.reset('cancelled');
      this.#finish(details);
    } else if (this.#responseStarted) {
      this.#breakOff(details, flag);
    } else {
      this.#flag = flag;
      this.#reply(reply);
    }
  }

  /** The shortest limit holds; of equal ones the first that was said. */
  #limitTo(limit: number | undefined, name: TimeLimit): void {
    if (limit === undefined || limit >= (this.#limit ?? Number.POSITIVE_INFINITY)) return;
    this.#limit = limit;
    this.#limitName = name;
  }

  /** `failed` says whether the endpoint is to blame. */
  #abandon(failed: boolean): void {
    this.#tries.stop();
    this.#tries.end(failed);
  }

  #reply(reply: LocalReply, outside = reply.details): void {
    this.#status = reply.status;
    this.#responseStarted = true;
    if (this.#call) this.#call.status = statusOfReply(reply);
    const told = this.#plan.direction === 'gateway' ? { ...reply, details: outside } : reply;
    const headers = this.#change?.(told.headers ?? []);
    replyLocally(this.#downstream, this.#head, headers ? { ...told, headers } : told);
    this.#finish(reply.details);
  }

  #finish(error: string | undefined): void {
    if (this.#done) return;
    this.#done = true;
    this.#tries.end(error !== undefined, this.#call?.status);
    if (!this.body.ended) this.#refuseRest();
    this.body.forget();
    this.onceOver?.();
    this.#timer?.cancel();
    const duration = this.#context.clock.now() - this.#started;
    this.#context.metrics.activeRequests.add(-1);
    this.#silence?.stop();
    if (!this.#tunnel) this.#plan.observe(this.#status, duration / 1000, this.#call?.status);
    const { upstream, retries } = this.#tries;
    logRequest(this.#context, this.#plan, this.#head, {
      status: this.#status,
      callStatus: this.#call?.status,
      duration,
      received: this.body.received,
      sent: this.#sent,
      source: this.#source,
      upstream: upstream?.address,
      fault: upstream?.fault,
      retries: retries || undefined,
      error,
      flag: this.#flag,
    });
  }

  /** The response is complete before the request is: who gets the request must not wait for what never comes. */
  #refuseRest(): void {
    this.#tries.stream?.reset('cancelled');
    this.#tries.stream = undefined;
    this.#downstream.resume();
  }
}

/** The request's side of an exchange: the same object cannot receive both bodies. */
class RequestSide implements RequestReceiver {
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  onData(chunk: Buffer): void {
    this.#exchange.onRequestData(chunk);
  }

  onEnd(trailers: HeaderList | undefined): void {
    this.#exchange.onRequestEnd(trailers);
  }

  onReset(reason: ResetReason): void {
    this.#exchange.onRequestReset(reason);
  }

  onDrain(): void {
    this.#exchange.onResponseDrain();
  }
}

function tooLate(limit: number): string {
  return `the response took longer than ${limit} ms`;
}
