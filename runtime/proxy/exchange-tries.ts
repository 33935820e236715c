import {
  type EndpointState,
  firstOpen,
  isIdempotent,
  type Outcome,
  outcomeOfCall,
  outcomeOfStatus,
  type TryFailure,
} from '../engine/index.ts';
import type { CallStatus, Timer } from '../model/index.ts';
import type {
  ClientConnection,
  ClientStream,
  PoolWaiter,
  RequestHead,
  ResetReason,
  ResponseHead,
  ResponseReceiver,
} from '../net/index.ts';
import { BreakerEntry } from './breaker-entry.ts';
import { brokenOff, type Failure, noEndpoint, notConnected, Overflow, overflown, tooSlow } from './exchange-failure.ts';
import type { ExchangePlan, ProxyContext, Upstream } from './exchange-plan.ts';
import { countRefused, delayOfNextTry, failureOfAnswer, failureOfCall, readsStatus } from './exchange-retry.ts';
import { Hedge, type HedgeOwner } from './hedge.ts';
import type { RequestBody } from './request-body.ts';

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
export class Tries implements PoolWaiter, HedgeOwner {
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
  /** Milliseconds for each. */
  readonly #limit: number | undefined;
  #tried: Set<EndpointState> | undefined;
  /** The balancer counts it. */
  #underWay = false;
  /** What the try under way counts in circuit breakers; absent where nothing is limited. */
  #entry: BreakerEntry | undefined;
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
  /** Whether a call of gRPC may be repeated for the status it ends with. */
  readonly #readsStatus: boolean;
  /** Until the second try beside the first. */
  #hedgeTimer: Timer | undefined;
  /** The second try, while neither has answered; then, where it was the first to, what its events come through. */
  #hedge: Hedge | undefined;
  #hedged = false;
  /** Counts what becomes the present try, so that what happened meanwhile is noticed. */
  #turn = 0;

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
    this.#limit = plan.timeouts.backendRequest;
    this.#readsStatus = readsStatus(plan, head);
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
    this.#turn++;
    this.#sent = false;
    this.#underWay = true;
    this.#outcome = undefined;
    this.#entry = BreakerEntry.start(breakers);
    this.#started = clock.now();
    this.#answered = undefined;
    if (upstream.state) upstream.state.active++;
    const limit = this.#limit;
    if (limit) this.#timer = clock.schedule(limit, () => this.#onTimeout(limit));
    if (this.#plan.hedging && !this.#hedged && isIdempotent(this.#head.method) && this.#head.upgrade === undefined) {
      this.#hedgeTimer = clock.schedule(this.#plan.hedging.delay, () => this.#startHedge());
    }
    upstream.pool.acquire(this, this.#anew);
  }

  onQueue(): Error | undefined {
    return this.#entry?.wait();
  }

  onConnection(connection: ClientConnection): void {
    this.#entry?.stopWaiting();
    this.#sent = true;
    const turn = this.#turn;
    const { body } = this.#owner;
    this.#owner.onSend();
    const headOnly = body.isEmpty;
    const stream = connection.request(this.#head, headOnly, this.#owner);
    // A connection that breaks at once may already have ended this try and begun the next.
    if (turn !== this.#turn || !this.#underWay) return;
    this.stream = stream;
    if (this.#head.upgrade !== undefined) return;
    if (!headOnly) body.sendTo(stream);
    this.#owner.onSent();
  }

  onUnavailable(error: Error): void {
    if (error instanceof Overflow) {
      // It tells nothing of the endpoint: where it is on probation, another request may go there.
      this.#leave()?.conduct?.record(undefined);
      if (this.#hedge?.racing) this.#yieldToHedge();
      else this.#refuse(error);
      return;
    }
    this.#onFailed(notConnected(this.target, this.upstream?.address, error));
  }

  /** The response has begun. Returns true when it is thrown away, as another try may bring a better one. */
  onHead(head: ResponseHead, complete: boolean): boolean {
    this.#outcome = outcomeOfStatus(head.status);
    const failure = this.failureOf(head, complete);
    if (failure && this.#replace(failure, !complete || !this.#owner.body.ended)) return true;
    this.#answered = this.#context.clock.now();
    this.#hedgeTimer?.cancel();
    this.#endRace();
    return false;
  }

  /** Why an answer that begins so counts as a failed try. */
  failureOf(head: ResponseHead, complete: boolean): TryFailure | undefined {
    return failureOfAnswer(this.#plan, head, complete, this.#readsStatus);
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
    this.#endRace();
    this.#giveUp();
  }

  /** The present try alone. */
  #giveUp(): void {
    if (this.stream) this.stream.reset('cancelled');
    else this.upstream?.pool.forget(this.#hedge && !this.#hedge.racing ? this.#hedge : this);
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
    this.#hedgeTimer?.cancel();
    if (!this.#underWay) return undefined;
    this.#underWay = false;
    this.#entry?.end();
    this.#entry = undefined;
    const state = this.upstream?.state;
    if (state) state.active--;
    return state;
  }

  /** Another try would meet the same breaker. */
  #refuse(overflow: Overflow): void {
    this.#plan.countRefusal?.(overflow.breaker, overflow.limit);
    this.#owner.onFailure(overflown(this.target, overflow));
  }

  #onFailed(failure: Failure): void {
    if (!this.#underWay) return;
    this.#outcome = 'gateway-error';
    const cause = this.#readsStatus ? failureOfCall(this.#plan, failure.cause) : failure.cause;
    if (this.#replace(cause, false, failure.left)) return;
    this.end(true);
    this.#owner.onFailure(failure);
  }

  /**
   * Whether another try takes the place of one that failed: one beside it, or the next. With `cancel`, its stream is
   * open yet; with `left`, the peer had closed the connection.
   */
  #replace(failure: TryFailure, cancel: boolean, left = false): boolean {
    const { timeLeft, body } = this.#owner;
    const racing = this.#hedge?.racing;
    const request = { tries: this.retries + 1, replayable: body.replayable, timeLeft };
    const delay = racing ? 0 : delayOfNextTry(this.#context, this.#plan, this.#head, request, failure, left);
    if (delay === undefined) return false;
    if (cancel) this.stream?.reset('cancelled');
    this.#settle(true);
    this.#anew = left;
    if (racing) this.#yieldToHedge();
    else this.#retry(delay);
    return true;
  }

  #retry(delay: number): void {
    const { clock, metrics } = this.#context;
    this.stream = undefined;
    this.#hedge = undefined;
    this.retries++;
    this.#addTried(this.upstream);
    metrics.retries.with(this.#plan.service, this.#plan.route ?? '').add(1);
    if (delay > 0) this.#timer = clock.schedule(delay, () => this.start());
    else this.start();
  }

  #onTimeout(limit: number): void {
    this.#plan.countTimeout?.('backendRequest');
    if (this.#answered !== undefined) {
      this.#owner.onLateResponse(limit);
      return;
    }
    this.#giveUp();
    this.#onFailed(tooSlow(this.target, limit));
  }

  /** Only a whole request can be sent twice, and only to two places. */
  #startHedge(): void {
    const { body } = this.#owner;
    const { state } = this.upstream ?? {};
    if (!body.ended || !body.replayable || !state) return;
    const { budget, breakers, service, route = '' } = this.#plan;
    if (breakers && firstOpen(breakers, 'requests')) return;
    const tried = new Set(this.#tried).add(state);
    const upstream = this.#plan.pick(tried, this.#key, this.#head.headers);
    if (!upstream) return;
    const isTried = upstream.state !== undefined && tried.has(upstream.state);
    if (isTried || !budget.withdraw()) {
      // Nothing is sent to it: where it is on probation, another request is.
      upstream.state?.conduct?.record(undefined);
      if (!isTried) countRefused(this.#context, this.#plan);
      return;
    }
    this.#hedged = true;
    this.retries++;
    this.#context.metrics.hedges.with(service, route).add(1);
    this.#hedge = new Hedge(this.#context.clock, upstream, this.#head, this.#owner, this, BreakerEntry.start(breakers));
    this.#hedge.start(this.#limit);
  }

  /** The second try has answered first: the first is given up, which is no failure of its endpoint. */
  onHedgeAnswered(): void {
    this.#giveUp();
    this.#outcome = undefined;
    this.#settle(false);
    this.#yieldToHedge();
  }

  onHedgeFailed(): void {
    this.#addTried(this.#hedge!.upstream);
    this.#hedge = undefined;
  }

  /** The first try is over. What was the second is the present one from now on, in all counts. */
  #yieldToHedge(): void {
    this.#addTried(this.upstream);
    this.#hedge!.lead();
    const { upstream, stream, started, left, entry } = this.#hedge!;
    this.upstream = upstream;
    this.stream = stream;
    this.#turn++;
    this.#underWay = true;
    this.#entry = entry;
    this.#outcome = undefined;
    this.#sent = stream !== undefined;
    this.#started = started;
    if (left === undefined) return;
    const limit = this.#limit!;
    this.#timer = this.#context.clock.schedule(Math.max(0, left), () => this.#onTimeout(limit));
  }

  #endRace(): void {
    if (!this.#hedge?.racing) return;
    this.#hedge.stop();
    this.#hedge = undefined;
  }

  #addTried(upstream: Upstream | undefined): void {
    if (!upstream?.state) return;
    this.#tried ??= new Set();
    this.#tried.add(upstream.state);
  }
}
