import type { CompiledFault } from '../engine/index.ts';
import type { Clock, FaultAbort, Timer } from '../model/index.ts';
import type {
  ClientConnection,
  ClientStream,
  PoolWaiter,
  RequestHead,
  ResponseHead,
  ResponseReceiver,
} from '../net/index.ts';
import type { ConnectionSource, Upstream } from './exchange-plan.ts';
import { statusFields } from './grpc.ts';
import { proxyStatus } from './reply.ts';
import { Throttling } from './throttle.ts';

/**
 * Where a try goes that meets a fault: what it delays or slows down goes on to `upstream`, what it aborts goes nowhere. The balancer
 * hears of neither, as the endpoint has no part in it.
 */
export function faultyUpstream(
  { fault, reason }: CompiledFault,
  upstream: () => Upstream | undefined,
  clock: Clock,
): Upstream | undefined {
  const { abort, delay, bandwidth } = fault;
  if (abort) return { pool: delayed(new Answering(abort, reason), delay, clock), fault: reason };
  const choice = upstream();
  if (!choice) return undefined;
  const { state: _, ...rest } = choice;
  const pool = bandwidth ? new Throttling(choice.pool, bandwidth, clock) : choice.pool;
  return { ...rest, pool: delayed(pool, delay, clock), fault: reason };
}

function delayed(source: ConnectionSource, delay: number | undefined, clock: Clock): ConnectionSource {
  return delay ? new Delaying(source, delay, clock) : source;
}

/** Has one request wait before it asks for a connection. */
class Delaying implements ConnectionSource {
  readonly #source: ConnectionSource;
  readonly #delay: number;
  readonly #clock: Clock;
  #timer: Timer | undefined;

  constructor(source: ConnectionSource, delay: number, clock: Clock) {
    this.#source = source;
    this.#delay = delay;
    this.#clock = clock;
  }

  acquire(waiter: PoolWaiter, anew?: boolean): void {
    this.#timer = this.#clock.schedule(this.#delay, () => this.#source.acquire(waiter, anew));
  }

  forget(waiter: PoolWaiter): void {
    this.#timer?.cancel();
    this.#source.forget(waiter);
  }
}

/** Takes what it is sent and says nothing. */
const deadEnd: ClientStream = { write: () => true, end() {}, reset() {}, pause() {}, resume() {} };

/** Stands for a service that answers at once, without looking at the request. */
class Answering implements ConnectionSource, ClientConnection {
  readonly capacity = 1;
  readonly active = 0;
  readonly #abort: FaultAbort;
  readonly #reason: string;

  constructor(abort: FaultAbort, reason: string) {
    this.#abort = abort;
    this.#reason = reason;
  }

  acquire(waiter: PoolWaiter): void {
    waiter.onConnection(this);
  }

  forget(): void {}

  request(_head: RequestHead, _end: boolean, receiver: ResponseReceiver): ClientStream {
    receiver.onResponse(answerOf(this.#abort, this.#reason), true);
    return deadEnd;
  }

  drain(): void {}

  destroy(): void {}
}

/** With a gRPC status, the answer is trailers only. */
function answerOf(abort: FaultAbort, reason: string): ResponseHead {
  const why = ['proxy-status', proxyStatus('proxy_internal_response', reason)];
  if (abort.kind === 'http') return { status: abort.status, headers: ['content-length', '0', ...why] };
  return { status: 200, headers: ['content-type', 'application/grpc', ...statusFields(abort.status, reason), ...why] };
}
