import { type Outcome, outcomeOfStatus, type TryFailure } from '../engine/index.ts';
import type { Clock, Timer } from '../model/index.ts';
import type {
  ClientConnection,
  ClientStream,
  HeaderList,
  PoolWaiter,
  RequestHead,
  ResetReason,
  ResponseHead,
  ResponseReceiver,
} from '../net/index.ts';
import type { BreakerEntry } from './breaker-entry.ts';
import { Overflow } from './exchange-failure.ts';
import type { Upstream } from './exchange-plan.ts';
import type { RequestBody } from './request-body.ts';

/** Whose first try it is beside. */
export interface HedgeOwner extends PoolWaiter {
  /** Why an answer that begins so counts as a failed try. */
  failureOf(head: ResponseHead, complete: boolean): TryFailure | undefined;
  /** It has begun to answer, so it is to {@link Hedge.lead}. */
  onHedgeAnswered(): void;
  /** It came to nothing while the first try goes on. */
  onHedgeFailed(): void;
}

/**
 * A second try beside a first that has not begun to answer. While both race it keeps what it hears to itself; once it
 * is the present try, its events are those of the exchange.
 */
export class Hedge implements PoolWaiter, ResponseReceiver {
  readonly upstream: Upstream;
  /** Neither of both tries has answered or failed. */
  racing = true;
  stream: ClientStream | undefined;
  readonly started: number;
  /** What it counts in circuit breakers; its owner's once it leads. */
  readonly entry: BreakerEntry | undefined;
  readonly #clock: Clock;
  readonly #head: RequestHead;
  readonly #receiver: ResponseReceiver & { readonly body: RequestBody };
  readonly #owner: HedgeOwner;
  /** Nothing is to be sent any more: a connection may break, or answer, before its stream is even known. */
  #over = false;
  #limit: number | undefined;
  #timer: Timer | undefined;

  /** `receiver` hears the response if this try is the one that goes on; its request is complete. */
  constructor(
    clock: Clock,
    upstream: Upstream,
    head: RequestHead,
    receiver: ResponseReceiver & { readonly body: RequestBody },
    owner: HedgeOwner,
    entry: BreakerEntry | undefined,
  ) {
    this.upstream = upstream;
    this.started = clock.now();
    this.#clock = clock;
    this.#head = head;
    this.#receiver = receiver;
    this.#owner = owner;
    this.entry = entry;
  }

  /** `limit` is what one try may take, in milliseconds. */
  start(limit: number | undefined): void {
    const { pool, state } = this.upstream;
    if (state) state.active++;
    if (limit) {
      this.#limit = limit;
      this.#timer = this.#clock.schedule(limit, () => {
        this.#giveUp();
        this.#lose('gateway-error');
      });
    }
    pool.acquire(this);
  }

  /** Milliseconds that it may take yet; absent without limit. */
  get left(): number | undefined {
    return this.#limit === undefined ? undefined : this.#limit - (this.#clock.now() - this.started);
  }

  /** The first try is over: this one is the present try, and its owner keeps its time. */
  lead(): void {
    this.racing = false;
    this.#timer?.cancel();
  }

  /** The first try has answered. That it did so is no failure of this one's endpoint. */
  stop(): void {
    this.#giveUp();
    this.#settle(undefined);
  }

  onQueue(): Error | undefined {
    return this.entry?.wait();
  }

  onConnection(connection: ClientConnection): void {
    // Its owner has taken its place.
    if (!this.racing) {
      this.#owner.onConnection(connection);
      return;
    }
    this.entry?.stopWaiting();
    const { body } = this.#receiver;
    const headOnly = body.isEmpty;
    const stream = connection.request(this.#head, headOnly, this);
    if (this.#over) return;
    this.stream = stream;
    if (!headOnly) body.sendTo(stream);
  }

  onUnavailable(error: Error): void {
    if (!this.racing) this.#owner.onUnavailable(error);
    else this.#lose(error instanceof Overflow ? undefined : 'gateway-error');
  }

  onInformational(head: ResponseHead): void {
    if (!this.racing) this.#receiver.onInformational(head);
  }

  onResponse(head: ResponseHead, end: boolean): void {
    if (this.racing) {
      if (this.#owner.failureOf(head, end)) {
        if (!end) this.stream?.reset('cancelled');
        this.#lose(outcomeOfStatus(head.status));
        return;
      }
      this.#owner.onHedgeAnswered();
    }
    this.#over = end;
    this.#receiver.onResponse(head, end);
  }

  onData(chunk: Buffer): void {
    this.#receiver.onData(chunk);
  }

  onEnd(trailers: HeaderList | undefined): void {
    this.#receiver.onEnd(trailers);
  }

  onReset(reason: ResetReason): void {
    this.#over = true;
    if (this.racing) this.#lose('gateway-error');
    else this.#receiver.onReset(reason);
  }

  onDrain(): void {
    if (!this.racing) this.#receiver.onDrain();
  }

  #giveUp(): void {
    if (this.stream) this.stream.reset('cancelled');
    else this.upstream.pool.forget(this);
  }

  #lose(outcome: Outcome | undefined): void {
    this.#settle(outcome);
    this.#owner.onHedgeFailed();
  }

  /** Takes it out of all counts, and says of its endpoint what is known. Once it leads, its owner does. */
  #settle(outcome: Outcome | undefined): void {
    this.racing = false;
    this.#over = true;
    this.#timer?.cancel();
    this.entry?.end();
    const { state } = this.upstream;
    if (!state) return;
    state.active--;
    state.observe(this.#clock.now() - this.started, outcome !== undefined);
    state.conduct?.record(outcome);
  }
}
