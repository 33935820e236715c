import type { Clock, Random } from '../model/index.ts';
import { heldMemory, pages, type RequestHead, type RequestReceiver, type ServerStream } from '../net/index.ts';
import type { ProxyContext } from './exchange-plan.ts';
import { isGrpc } from './grpc.ts';
import { grpcHead, headOnly, ignoreBody, type LocalReply } from './reply.ts';

/** Milliseconds from one measurement of the event loop to the next, while requests come. */
const interval = 20;
/** The share of a new measurement in the average: four of them make most of it. */
const newest = 1 / 4;
/** An event loop that waited for less than this share of a measurement had not a moment's rest in it. */
const leastRest = 0.02;
/** So many measurements without rest make a proxy busy: one may be a pause. */
const busyFrom = 2;
/** More of them do not count, so that it is soon no longer busy. */
const mostRestless = 10;
/** After so many measurements, a second, buffers go that nobody needed meanwhile. */
const trimAfter = 50;

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
 * work says how much too many there are. Each one under way makes all others dearer, as collections of garbage find it
 * alive: so there are fewer of them while there is no rest, and requests that wait for a slow application are no work.
 */
export class Overload {
  readonly #context: ProxyContext;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Milliseconds, averaged. */
  #delay = 0;
  /** Share of requests that is refused. */
  #share = 0;
  /** Measurements without rest, less those with some. */
  #restless = 0;
  #measurements = 0;
  #measuring = false;
  #asked = false;

  constructor(context: ProxyContext) {
    this.#context = context;
    this.#clock = context.clock;
    this.#random = context.random;
    context.metrics.registry.beforeExpose(() => {
      context.metrics.loopDelay.value = this.#delay / 1000;
      context.metrics.heldBytes.value = heldMemory.bytes;
    });
  }

  /** Answers a request that is one too many; `undefined` where it is to be served. */
  refuse(head: RequestHead, stream: ServerStream): RequestReceiver | undefined {
    this.#asked = true;
    if (!this.#measuring) this.#measure();
    const exceeded = this.#exceeded();
    if (!exceeded) return undefined;
    this.#context.metrics.shed.with(exceeded).add(1);
    stream.respond(isGrpc(head) ? grpcAnswer : answer, true);
    return ignoreBody;
  }

  /** The limit, as metrics name it. */
  #exceeded(): 'requests' | 'memory' | 'busy' | 'delay' | undefined {
    const { limits, metrics } = this.#context;
    const active = metrics.activeRequests.value;
    if (active >= limits.maxActiveRequests) return 'requests';
    if (heldMemory.bytes >= limits.maxHeldBytes) return 'memory';
    if (this.#restless >= busyFrom && active >= limits.maxBusyRequests) return 'busy';
    return this.#share > 0 && this.#random() < this.#share ? 'delay' : undefined;
  }

  /** A timer is as late as all else on the loop. Without requests there is none: an idle proxy is not woken. */
  #measure(): void {
    this.#measuring = true;
    this.#asked = false;
    const begun = this.#clock.now();
    const rest = this.#context.idleTime();
    this.#clock.schedule(interval, () => {
      const took = this.#clock.now() - begun;
      const hadRest = this.#context.idleTime() - rest >= leastRest * took;
      this.#restless = Math.min(Math.max(this.#restless + (hadRest ? -1 : 1), 0), mostRestless);
      this.#take(took - interval);
      this.#measuring = false;
      if (++this.#measurements % trimAfter === 0) pages.trim();
      if (this.#asked || this.#delay >= 1 || this.#restless > 0 || pages.hasSpare) this.#measure();
    });
  }

  /** One long pause counts for no more than a short one: a configuration that is compiled is no overload. */
  #take(delay: number): void {
    const { maxLoopDelay } = this.#context.limits;
    this.#delay += (Math.min(Math.max(delay, 0), 2 * maxLoopDelay) - this.#delay) * newest;
    this.#share = Math.min(Math.max(this.#delay / maxLoopDelay - 1, 0), 1);
  }
}
