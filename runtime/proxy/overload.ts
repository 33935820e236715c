import type { Clock, Random } from '../model/index.ts';
import type { RequestHead, RequestReceiver, ServerStream } from '../net/index.ts';
import type { ProxyContext } from './exchange-plan.ts';
import { isGrpc } from './grpc.ts';
import { grpcHead, headOnly, ignoreBody, type LocalReply } from './reply.ts';

/** Milliseconds from one measurement of the event loop to the next, while requests come. */
const interval = 20;
/** The share of a new measurement in the average: four of them make most of it. */
const newest = 1 / 4;

const refused: LocalReply = {
  status: 503,
  error: 'proxy_internal_response',
  details: 'the proxy is overloaded',
  headers: ['retry-after', '1'],
};

/** Made once, and a head only: what is refused must cost little, or refusing is what a proxy is busy with. */
const answer = headOnly(refused);
const grpcAnswer = grpcHead(refused);

/**
 * Refuses requests before anything is done for them, when there are more than the proxy can carry: what it does answer
 * then stays in time, and it stays up. Requests are many small tasks on one event loop, so that being late with one's
 * work says how much too many there are.
 */
export class Overload {
  readonly #context: ProxyContext;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Milliseconds, averaged. */
  #delay = 0;
  /** Share of requests that is refused. */
  #share = 0;
  #measuring = false;
  #asked = false;

  constructor(context: ProxyContext) {
    this.#context = context;
    this.#clock = context.clock;
    this.#random = context.random;
    context.metrics.registry.beforeExpose(() => {
      context.metrics.loopDelay.value = this.#delay / 1000;
    });
  }

  /** Answers a request that is one too many; `undefined` where it is to be served. */
  refuse(head: RequestHead, stream: ServerStream): RequestReceiver | undefined {
    this.#asked = true;
    if (!this.#measuring) this.#measure();
    const { limits, metrics } = this.#context;
    if (metrics.activeRequests.value >= limits.maxActiveRequests) metrics.shed.with('requests').add(1);
    else if (this.#share > 0 && this.#random() < this.#share) metrics.shed.with('delay').add(1);
    else return undefined;
    stream.respond(isGrpc(head) ? grpcAnswer : answer, true);
    return ignoreBody;
  }

  /** A timer is as late as all else on the loop. Without requests there is none: an idle proxy is not woken. */
  #measure(): void {
    this.#measuring = true;
    this.#asked = false;
    const due = this.#clock.now() + interval;
    this.#clock.schedule(interval, () => {
      this.#take(this.#clock.now() - due);
      this.#measuring = false;
      if (this.#asked || this.#delay >= 1) this.#measure();
    });
  }

  /** One long pause counts for no more than a short one: a configuration that is compiled is no overload. */
  #take(delay: number): void {
    const { maxLoopDelay } = this.#context.limits;
    this.#delay += (Math.min(Math.max(delay, 0), 2 * maxLoopDelay) - this.#delay) * newest;
    this.#share = Math.min(Math.max(this.#delay / maxLoopDelay - 1, 0), 1);
  }
}
