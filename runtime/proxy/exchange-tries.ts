import {
  type Breaker,
  type EndpointState,
  firstOpen,
  type Outcome,
  outcomeOfCall,
  outcomeOfStatus,
  planRetry,
  type TryFailure,
} from '../engine/index.ts';
import type { Retry, Timer } from '../model/index.ts';
import type {
  ClientConnection,
  ClientStream,
  PoolWaiter,
  RequestHead,
  ResetReason,
  ResponseReceiver,
} from '../net/index.ts';
import { brokenOff, type Failure, noEndpoint, notConnected, Overflow, overflown, tooSlow } from './exchange-failure.ts';
import type { ExchangePlan, ProxyContext, Upstream } from './exchange-plan.ts';
import type { CallStatus } from './grpc.ts';
import type { RequestBody } from './request-body.ts';

/** Holds where no policy says otherwise, for what the peer certainly did not process and for connections that it left. */
const safeRetry: Retry = { attempts: 2, codes: [], backoff: 0 };

/** Whose request is tried; it hears the response as well. */
export interface TriesOwner extends ResponseReceiver {
  readonly body: RequestBody;
  /** Milliseconds the exchange may take yet; absent without limit. */
  readonly timeLeft: number | undefined;
  /** The request is about to be sent. */
  onSend(): void;
  /** It was sent, with all of its body that there is. */
  onSent(): void;
  /** There is no further try. */
  onFailure(failure: Failure): void;
  /** A try took too long that had begun to answer. */
  onLateResponse(limit: number): void;
}

/** Sends a request to one upstream after the other until one answers, as far as that is safe. */
export class Tries implements PoolWaiter {
  /** Where the last try goes. */
  upstream: Upstream | undefined;
  /** Present while it may be written to, or read from. */
  stream: ClientStream | undefined;
  /** Tries beyond the first. */
  retries = 0;
  readonly #context: ProxyContext;
  readonly #plan: ExchangePlan;
  readonly #head: RequestHead;
  readonly #key: string | undefined;
  readonly #owner: TriesOwner;
  #tried: Set<EndpointState> | undefined;
  /** The balancer counts it, and {@link #breakers} do. */
  #underWay = false;
  /** Those that count the try under way; those of the plan may be others by the time it ends. */
  #breakers: readonly Breaker[] | undefined;
  /** The breakers count it as waiting. */
  #queued = false;
  /** What it says of its endpoint, as far as that is known. */
  #outcome: Outcome | undefined;
  #started = 0;
  /** When the response began: how long its body takes is no matter of the endpoint's speed. */
  #answered: number | undefined;
  /** A connection was found. */
  #sent = false;
  /** The last try met a connection that the peer had closed. */
  #anew = false;
  #timer: Timer | undefined;

  /** `key` is what the balancer reads of the request. */
  constructor(
    context: ProxyContext,
    plan: ExchangePlan,
    head: RequestHead,
    key: string | undefined,
    owner: TriesOwner,
  ) {
    this.#context = context;
    this.#plan = plan;
    this.#head = head;
    this.#key = key;
    this.#owner = owner;
  }

  /** How errors name where it goes. */
  get target(): string {
    return this.#plan.target ?? this.#plan.service;
  }

  /** The `set-cookie` that leads this client back here; absent where it has it, or sessions do not count. */
  get session(): string | undefined {
    const { session, state } = this.upstream ?? {};
    return state?.id === this.#key ? undefined : session;
  }

  start(): void {
    const { clock } = this.#context;
    const { breakers } = this.#plan;
    const open = breakers && firstOpen(breakers, 'requests');
    if (open) {
      this.#refuse(new Overflow(open, 'requests'));
      return;
    }
    const upstream = this.#plan.pick(this.#tried, this.#key, this.#head.headers);
    if (!upstream) {
      this.#owner.onFailure(noEndpoint(this.target, this.#plan.outage));
      return;
    }
    this.upstream = upstream;
    this.#sent = false;
    this.#underWay = true;
    this.#outcome = undefined;
    if (breakers) {
      this.#breakers = breakers;
      for (const breaker of breakers) breaker.startRequest();
    }
    this.#started = clock.now();
    this.#answered = undefined;
    if (upstream.state) upstream.state.active++;
    const limit = this.#plan.timeouts.backendRequest;
    if (limit) this.#timer = clock.schedule(limit, () => this.#onTimeout(limit));
    upstream.pool.acquire(this, this.#anew);
  }

  onQueue(): Error | undefined {
    const breakers = this.#breakers;
    if (!breakers) return undefined;
    const open = firstOpen(breakers, 'pending');
    if (open) return new Overflow(open, 'pending');
    this.#queued = true;
    for (const breaker of breakers) breaker.startWaiting();
    return undefined;
  }

  onConnection(connection: ClientConnection): void {
    if (this.#queued) this.#leaveQueue();
    this.#sent = true;
    const { retries } = this;
    const { body } = this.#owner;
    this.#owner.onSend();
    const headOnly = body.isEmpty;
    const stream = connection.request(this.#head, headOnly, this.#owner);
    // A connection that breaks at once may already have ended this try and begun the next.
    if (retries !== this.retries || !this.#underWay) return;
    this.stream = stream;
    if (this.#head.upgrade !== undefined) return;
    if (!headOnly) body.sendTo(stream);
    this.#owner.onSent();
  }

  onUnavailable(error: Error): void {
    if (error instanceof Overflow) {
      // It tells nothing of the endpoint, so neither does the balancer hear of it.
      this.#leave();
      this.#refuse(error);
      return;
    }
    this.#onFailed(notConnected(this.target, this.upstream?.address, error));
  }

  /** The response has begun. Returns true when it is thrown away, and the request sent again. */
  onStatus(status: number, complete: boolean): boolean {
    this.#outcome = outcomeOfStatus(status);
    if (this.#plan.retry?.codes.includes(status)) {
      const delay = this.#planRetry({ kind: 'status', status }, false);
      if (delay !== undefined) {
        if (!complete || !this.#owner.body.ended) this.stream?.reset('cancelled');
        this.#retry(delay);
        return true;
      }
    }
    this.#answered = this.#context.clock.now();
    return false;
  }

  /** The try broke before its response began. */
  onReset(reason: ResetReason): void {
    this.stream = undefined;
    this.#onFailed(brokenOff(this.target, reason, this.#sent));
  }

  /** What has begun may take as long as it likes. */
  unlimit(): void {
    this.#timer?.cancel();
  }

  /** Gives up what is under way. */
  stop(): void {
    if (this.stream) this.stream.reset('cancelled');
    else this.upstream?.pool.forget(this);
    this.stream = undefined;
  }

  /** Tells the balancer, once a try, and ends waiting. Calls of gRPC have a status of their own. */
  end(failed: boolean, callStatus?: CallStatus): void {
    if (failed) this.#outcome = 'gateway-error';
    else if (callStatus) this.#outcome = outcomeOfCall(callStatus);
    this.#settle(failed);
  }

  #settle(failed: boolean): void {
    const state = this.#leave();
    if (!state) return;
    state.observe((this.#answered ?? this.#context.clock.now()) - this.#started, failed);
    state.conduct?.record(this.#outcome);
  }

  /** Takes the try out of all counts, once; returns the endpoint it was at, if the balancer chose that. */
  #leave(): EndpointState | undefined {
    this.#timer?.cancel();
    if (!this.#underWay) return undefined;
    this.#underWay = false;
    if (this.#queued) this.#leaveQueue();
    if (this.#breakers) {
      for (const breaker of this.#breakers) breaker.endRequest();
      this.#breakers = undefined;
    }
    const state = this.upstream?.state;
    if (state) state.active--;
    return state;
  }

  #leaveQueue(): void {
    this.#queued = false;
    for (const breaker of this.#breakers!) breaker.endWaiting();
  }

  /** Another try would meet the same breaker. */
  #refuse(overflow: Overflow): void {
    this.#plan.countRefusal?.(overflow.breaker, overflow.limit);
    this.#owner.onFailure(overflown(this.target, overflow));
  }

  /** Milliseconds to wait before the next try; `undefined` when there is to be none. */
  #planRetry(failure: TryFailure, left: boolean): number | undefined {
    // What an upgrade has begun on the other side cannot be known.
    if (this.#head.upgrade !== undefined && failure.kind !== 'unprocessed') return undefined;
    const { retry, budget } = this.#plan;
    const policy = retry ?? (failure.kind === 'unprocessed' || left ? safeRetry : undefined);
    const { timeLeft, body } = this.#owner;
    const failed = {
      method: this.#head.method,
      failure,
      tries: this.retries + 1,
      replayable: body.replayable,
      ...(timeLeft !== undefined && { timeLeft }),
    };
    const planned = planRetry(policy, failed, budget, this.#context.random);
    return planned.again ? planned.delay : undefined;
  }

  #onFailed(failure: Failure): void {
    if (!this.#underWay) return;
    this.#outcome = 'gateway-error';
    const delay = this.#planRetry(failure.cause, failure.left ?? false);
    if (delay !== undefined) {
      this.#anew = failure.left ?? false;
      this.#retry(delay);
      return;
    }
    this.end(true);
    this.#owner.onFailure(failure);
  }

  #retry(delay: number): void {
    const { clock, metrics } = this.#context;
    this.#settle(true);
    this.stream = undefined;
    this.retries++;
    this.#tried ??= new Set();
    if (this.upstream?.state) this.#tried.add(this.upstream.state);
    metrics.retries.with(this.#plan.service, this.#plan.route ?? '').add(1);
    if (delay > 0) this.#timer = clock.schedule(delay, () => this.start());
    else this.start();
  }

  #onTimeout(limit: number): void {
    if (this.#answered !== undefined) {
      this.#owner.onLateResponse(limit);
      return;
    }
    this.stop();
    this.#onFailed(tooSlow(this.target, limit));
  }
}
