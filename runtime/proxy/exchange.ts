import { type EndpointState, planRetry, type TryFailure } from '../engine/index.ts';
import type { Retry, Timer } from '../model/index.ts';
import type {
  ClientConnection,
  ClientStream,
  HeaderList,
  PoolWaiter,
  RequestHead,
  RequestReceiver,
  ResetReason,
  ResponseHead,
  ResponseReceiver,
  ServerStream,
} from '../net/index.ts';
import { BodyCopy } from './body-copy.ts';
import type { ExchangePlan, ProxyContext, Upstream } from './exchange-plan.ts';
import { type LocalReply, type ProxyError, replyLocally } from './reply.ts';
import { logRequest } from './request-log.ts';

/** Holds where no policy says otherwise, for what the peer certainly did not process and for stale connections. */
const safeRetry: Retry = { attempts: 2, codes: [], backoff: 0 };

/** Why a try failed, with the answer that the caller gets when there is no other try. */
interface Failure {
  readonly cause: TryFailure;
  /** An idle connection that the peer closed as we wrote to it: no fault of the request. */
  readonly stale?: boolean;
  readonly reply: LocalReply;
  /** What callers from outside the mesh are told instead of the reply's details: no addresses, no identities. */
  readonly outside?: string;
}

/** Carries one request to an upstream and its response back, over several tries where that is safe. */
export class Exchange implements ResponseReceiver, PoolWaiter {
  readonly #context: ProxyContext;
  readonly #plan: ExchangePlan;
  readonly #downstream: ServerStream;
  readonly #head: RequestHead;
  readonly #source: string;
  readonly #key: string | undefined;
  readonly #started: number;

  #upstream: ClientStream | undefined;
  #choice: Upstream | undefined;
  #attempt = 0;
  #trying = false;
  #tryStarted = 0;
  /** When the try's response began: how long its body takes is no matter of the endpoint's speed. */
  #answered: number | undefined;
  #tried: Set<EndpointState> | undefined;
  #reused = false;
  #sent = false;

  /** The request body so far, while it is small enough to be sent again. */
  #body = new BodyCopy();
  #replayable = true;
  #requestEnded: boolean;
  #trailers: HeaderList | undefined;

  #status = 0;
  #responseStarted = false;
  #done = false;
  #received = 0;
  #sentBytes = 0;
  #requestTimer: Timer | undefined;
  #tryTimer: Timer | undefined;
  #backoffTimer: Timer | undefined;

  /**
   * `source` names the caller for the access log, `key` is what the balancer reads of the request. With `ended`, the
   * request has no body.
   */
  constructor(
    context: ProxyContext,
    plan: ExchangePlan,
    downstream: ServerStream,
    head: RequestHead,
    ended: boolean,
    source: string,
    key?: string,
  ) {
    this.#context = context;
    this.#plan = plan;
    this.#downstream = downstream;
    this.#head = head;
    this.#requestEnded = ended;
    this.#source = source;
    this.#key = key;
    this.#started = context.clock.now();
  }

  /** Starts the first try and returns who takes the request's body. */
  start(): RequestReceiver {
    const { timeouts, budget } = this.#plan;
    this.#context.metrics.activeRequests.add(1);
    budget.deposit();
    if (timeouts.request) this.#requestTimer = this.#context.clock.schedule(timeouts.request, () => this.#onTimeout());
    this.#try();
    return new RequestSide(this);
  }

  onConnection(connection: ClientConnection, reused: boolean): void {
    this.#reused = reused;
    this.#sent = true;
    const attempt = this.#attempt;
    const headOnly = this.#requestEnded && this.#body.bytes === 0 && this.#trailers === undefined;
    const upstream = connection.request(this.#head, headOnly, this);
    // A connection that breaks at once may already have reset this try and begun the next.
    if (attempt !== this.#attempt || this.#done) return;
    this.#upstream = upstream;
    if (!headOnly) this.#sendBody(upstream);
    if (!this.#requestEnded) this.#downstream.resume();
  }

  onUnavailable(error: Error): void {
    const outside = `no connection to ${this.#target}`;
    const details = `${outside} at ${this.#choice?.address}: ${error.message}`;
    this.#onTryFailed({
      cause: { kind: 'unprocessed' },
      reply: { status: 503, error: 'connection_refused', details },
      outside,
    });
  }

  onInformational(head: ResponseHead): void {
    this.#downstream.informational(head);
  }

  onResponse(head: ResponseHead, end: boolean): void {
    if (this.#plan.retry?.codes.includes(head.status)) {
      const delay = this.#planRetry({ kind: 'status', status: head.status }, false);
      if (delay !== undefined) {
        if (!end || !this.#requestEnded) this.#upstream?.reset('cancelled');
        this.#retry(delay);
        return;
      }
    }
    this.#status = head.status;
    this.#responseStarted = true;
    this.#answered = this.#context.clock.now();
    const { changeResponse } = this.#plan;
    if (changeResponse) head.headers = changeResponse(head.headers);
    const session = this.#choice?.session;
    if (session !== undefined && this.#choice?.state?.id !== this.#key) head.headers.push('set-cookie', session);
    this.#downstream.respond(head, end);
    if (end) this.#finish(undefined);
  }

  onData(chunk: Buffer): void {
    this.#sentBytes += chunk.length;
    if (!this.#downstream.write(chunk)) this.#upstream?.pause();
  }

  onEnd(trailers: HeaderList | undefined): void {
    this.#downstream.end(trailers);
    this.#finish(undefined);
  }

  onReset(reason: ResetReason): void {
    this.#upstream = undefined;
    if (!this.#responseStarted) {
      this.#onTryFailed(this.#failureOf(reason));
      return;
    }
    this.#downstream.reset(reason);
    this.#finish(`the upstream broke off its response (${reason})`);
  }

  /** The upstream takes request bytes again. */
  onDrain(): void {
    this.#downstream.resume();
  }

  onRequestData(chunk: Buffer): void {
    if (this.#done) return;
    this.#received += chunk.length;
    if (this.#upstream && this.#body.bytes + chunk.length > this.#context.limits.replayBytes) this.#forgetBody();
    if (this.#replayable) this.#body.add(chunk);
    if (!this.#upstream?.write(chunk)) this.#downstream.pause();
  }

  onRequestEnd(trailers: HeaderList | undefined): void {
    if (this.#done) return;
    this.#requestEnded = true;
    this.#trailers = trailers;
    this.#upstream?.end(trailers);
  }

  /** The caller gave up or broke the protocol. */
  onRequestReset(reason: ResetReason): void {
    if (this.#done) return;
    this.#stopUpstream('cancelled');
    // No failure of the endpoint, but it took at least as long as this.
    this.#endTry(false);
    this.#finish(`the caller broke off (${reason})`);
  }

  /** The caller reads again. */
  onResponseDrain(): void {
    this.#upstream?.resume();
  }

  get #target(): string {
    return this.#plan.target ?? this.#plan.service;
  }

  #try(): void {
    const choice = this.#plan.pick(this.#tried, this.#key, this.#head.headers);
    if (!choice) {
      this.#reply(503, 'destination_unavailable', `${this.#target} has no ready endpoint`);
      return;
    }
    this.#choice = choice;
    this.#sent = false;
    this.#trying = true;
    this.#tryStarted = this.#context.clock.now();
    this.#answered = undefined;
    if (choice.state) choice.state.active++;
    const limit = this.#plan.timeouts.backendRequest;
    if (limit) this.#tryTimer = this.#context.clock.schedule(limit, () => this.#onTryTimeout());
    choice.pool.acquire(this);
  }

  #sendBody(upstream: ClientStream): void {
    this.#body.writeTo(upstream);
    if (this.#body.bytes > this.#context.limits.replayBytes) this.#forgetBody();
    if (this.#requestEnded) upstream.end(this.#trailers);
  }

  #forgetBody(): void {
    this.#replayable = false;
    this.#body.drop();
  }

  #failureOf(reason: ResetReason): Failure {
    // Refused, or never sent: the peer did not process it, so any method may go elsewhere (RFC 9113 section 8.7).
    const cause: TryFailure = reason === 'refused' || !this.#sent ? { kind: 'unprocessed' } : { kind: 'broken' };
    const reply: LocalReply =
      reason === 'refused'
        ? { status: 503, error: 'connection_refused', details: `${this.#target} cannot take the request now` }
        : reason === 'protocol'
          ? { status: 502, error: 'http_protocol_error', details: `${this.#target} answered with malformed HTTP` }
          : {
              status: 502,
              error: 'connection_terminated',
              details: `${this.#target} broke off before it answered (${reason})`,
            };
    return { cause, reply, stale: reason === 'connection' && this.#reused };
  }

  /** Milliseconds to wait before the next try; `undefined` when there is to be none. */
  #planRetry(failure: TryFailure, stale: boolean): number | undefined {
    const { retry, budget, timeouts } = this.#plan;
    const { clock, random } = this.#context;
    const policy = retry ?? (failure.kind === 'unprocessed' || stale ? safeRetry : undefined);
    const failed = {
      method: this.#head.method,
      failure,
      tries: this.#attempt + 1,
      replayable: this.#replayable,
      ...(timeouts.request && { timeLeft: timeouts.request - (clock.now() - this.#started) }),
    };
    const planned = planRetry(policy, failed, budget, random);
    return planned.again ? planned.delay : undefined;
  }

  #onTryFailed({ cause, stale, reply, outside }: Failure): void {
    if (this.#done) return;
    const delay = this.#planRetry(cause, stale ?? false);
    if (delay !== undefined) {
      this.#retry(delay);
      return;
    }
    this.#endTry(true);
    if (cause.kind === 'unprocessed' && this.#plan.callerCanRetry) {
      this.#status = reply.status;
      this.#downstream.reset('refused');
      this.#finish(reply.details);
    } else {
      this.#reply(reply.status, reply.error, reply.details, outside);
    }
  }

  #retry(delay: number): void {
    this.#endTry(true);
    this.#upstream = undefined;
    this.#attempt++;
    this.#tried ??= new Set();
    if (this.#choice?.state) this.#tried.add(this.#choice.state);
    this.#context.metrics.retries.with(this.#plan.service, this.#plan.route ?? '').add(1);
    if (delay > 0) this.#backoffTimer = this.#context.clock.schedule(delay, () => this.#try());
    else this.#try();
  }

  #onTryTimeout(): void {
    if (this.#responseStarted) {
      this.#abandonTry('cancelled');
      this.#downstream.reset('internal');
      this.#finish(`the response took longer than ${this.#plan.timeouts.backendRequest} ms`);
      return;
    }
    this.#stopUpstream('cancelled');
    const details = `${this.#target} did not answer within ${this.#plan.timeouts.backendRequest} ms`;
    this.#onTryFailed({
      cause: { kind: 'timeout' },
      reply: { status: 504, error: 'http_response_timeout', details },
    });
  }

  #onTimeout(): void {
    this.#abandonTry('cancelled');
    const limit = `${this.#plan.timeouts.request} ms`;
    if (this.#responseStarted) {
      this.#downstream.reset('internal');
      this.#finish(`the response took longer than ${limit}`);
    } else {
      this.#reply(504, 'http_response_timeout', `${this.#target} did not answer within ${limit}`);
    }
  }

  #abandonTry(reason: ResetReason): void {
    this.#stopUpstream(reason);
    this.#endTry(true);
  }

  #stopUpstream(reason: ResetReason): void {
    if (this.#upstream) this.#upstream.reset(reason);
    else this.#choice?.pool.forget(this);
    this.#upstream = undefined;
  }

  /** Tells the balancer, once a try. */
  #endTry(failed: boolean): void {
    this.#tryTimer?.cancel();
    this.#tryTimer = undefined;
    const state = this.#choice?.state;
    if (!state || !this.#trying) return;
    this.#trying = false;
    state.active--;
    state.observe((this.#answered ?? this.#context.clock.now()) - this.#tryStarted, failed);
  }

  /** The response is complete before the request is: who gets the request must not wait for what never comes. */
  #refuseRest(): void {
    this.#upstream?.reset('cancelled');
    this.#upstream = undefined;
    this.#downstream.resume();
  }

  #reply(status: number, error: ProxyError, details: string, outside = details): void {
    this.#status = status;
    this.#responseStarted = true;
    const told = this.#plan.direction === 'gateway' ? outside : details;
    replyLocally(this.#downstream, this.#head, { status, error, details: told });
    this.#finish(details);
  }

  #finish(error: string | undefined): void {
    if (this.#done) return;
    this.#done = true;
    this.#endTry(error !== undefined);
    if (!this.#requestEnded) this.#refuseRest();
    this.#requestTimer?.cancel();
    this.#backoffTimer?.cancel();
    const { metrics, clock } = this.#context;
    const plan = this.#plan;
    const duration = clock.now() - this.#started;
    metrics.activeRequests.add(-1);
    plan.observe(this.#status, duration / 1000);
    logRequest(this.#context, plan, this.#head, {
      status: this.#status,
      duration,
      received: this.#received,
      sent: this.#sentBytes,
      source: this.#source,
      upstream: this.#choice?.address,
      fault: this.#choice?.fault,
      retries: this.#attempt || undefined,
      error,
    });
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
