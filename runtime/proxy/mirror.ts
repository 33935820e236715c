import { type EndpointState, type Outcome, outcomeOfStatus } from '../engine/index.ts';
import type { Mirror, Random } from '../model/index.ts';
import {
  type ClientConnection,
  type HeaderList,
  HeldBytes,
  type PoolWaiter,
  type RequestHead,
  type RequestReceiver,
  type ResetReason,
  type ResponseHead,
  type ResponseReceiver,
} from '../net/index.ts';
import { BreakerEntry } from './breaker-entry.ts';
import type { Cluster } from './cluster.ts';
import { Overflow } from './exchange-failure.ts';
import type { ProxyContext } from './exchange-plan.ts';

/** A body for some copies: the memory is given back when the last one was sent. */
class MirroredBody {
  readonly bytes = new HeldBytes();
  #users = 1;

  keep(): void {
    this.#users++;
  }

  release(): void {
    if (--this.#users === 0) this.bytes.clear();
  }
}

/** Sends copies of requests and ignores what comes of them. Who never answers must not make them pile up. */
export class Mirrors {
  readonly #context: ProxyContext;
  #underWay = 0;

  constructor(context: ProxyContext) {
    this.#context = context;
  }

  send(cluster: Cluster, head: RequestHead, body: MirroredBody, trailers: HeaderList | undefined): void {
    const { breaker } = cluster;
    if (this.#underWay >= this.#context.limits.maxMirrored || breaker?.isOpen('requests')) return;
    const upstream = cluster.pick(undefined);
    if (!upstream) return;
    this.#underWay++;
    const entry = BreakerEntry.start(breaker && [breaker]);
    const copy = new Copy(head, body, trailers, entry, upstream.state, () => this.#underWay--);
    upstream.pool.acquire(copy);
  }
}

/** One copy on its way: `ended` is called once, however it ends. */
class Copy implements PoolWaiter, ResponseReceiver {
  readonly #head: RequestHead;
  readonly #body: MirroredBody;
  readonly #trailers: HeaderList | undefined;
  readonly #entry: BreakerEntry | undefined;
  readonly #state: EndpointState | undefined;
  readonly #ended: () => void;
  #status = 0;

  constructor(
    head: RequestHead,
    body: MirroredBody,
    trailers: HeaderList | undefined,
    entry: BreakerEntry | undefined,
    state: EndpointState | undefined,
    ended: () => void,
  ) {
    this.#head = head;
    this.#body = body;
    this.#trailers = trailers;
    this.#entry = entry;
    this.#state = state;
    this.#ended = ended;
    body.keep();
  }

  onQueue(): Error | undefined {
    return this.#entry?.wait();
  }

  onConnection(connection: ClientConnection): void {
    this.#entry?.stopWaiting();
    const { bytes } = this.#body;
    const headOnly = bytes.length === 0 && this.#trailers === undefined;
    const stream = connection.request(this.#head, headOnly, this);
    if (!headOnly) {
      bytes.read((chunk) => stream.write(chunk));
      stream.end(this.#trailers);
    }
    this.#body.release();
  }

  onUnavailable(error: Error): void {
    this.#body.release();
    this.#done(error instanceof Overflow ? undefined : 'gateway-error');
  }

  onInformational(): void {}

  onResponse({ status }: ResponseHead, end: boolean): void {
    this.#status = status;
    if (end) this.onEnd();
  }

  onData(): void {}

  onEnd(): void {
    this.#done(outcomeOfStatus(this.#status));
  }

  onReset(): void {
    this.#done('gateway-error');
  }

  onDrain(): void {}

  #done(outcome: Outcome | undefined): void {
    this.#entry?.end();
    this.#state?.conduct?.record(outcome);
    this.#ended();
  }
}

/** Whether this request is in the mirrored share. */
export function isMirrored(mirror: Mirror, random: Random): boolean {
  return mirror.percent >= 100 || random() * 100 < mirror.percent;
}

/** Copies a request while it passes: a body larger than `limit` bytes is not mirrored. */
export class MirroringReceiver implements RequestReceiver {
  readonly #inner: RequestReceiver;
  readonly #mirrors: Mirrors;
  readonly #clusters: readonly Cluster[];
  readonly #head: RequestHead;
  #body: MirroredBody | undefined = new MirroredBody();
  #left: number;

  constructor(
    inner: RequestReceiver,
    mirrors: Mirrors,
    clusters: readonly Cluster[],
    head: RequestHead,
    limit: number,
  ) {
    this.#inner = inner;
    this.#mirrors = mirrors;
    this.#clusters = clusters;
    this.#head = { ...head, headers: [...head.headers] };
    this.#left = limit;
  }

  onData(chunk: Buffer): void {
    this.#left -= chunk.length;
    if (this.#left >= 0) this.#body?.bytes.add(chunk);
    else this.drop();
    this.#inner.onData(chunk);
  }

  onEnd(trailers: HeaderList | undefined): void {
    this.send(trailers);
    this.#inner.onEnd(trailers);
  }

  onReset(reason: ResetReason): void {
    this.drop();
    this.#inner.onReset(reason);
  }

  onDrain(): void {
    this.#inner.onDrain();
  }

  /** Sends the copies; called at once for a request without body. */
  send(trailers: HeaderList | undefined): void {
    if (!this.#body) return;
    for (const cluster of this.#clusters) this.#mirrors.send(cluster, this.#head, this.#body, trailers);
    this.drop();
  }

  /** Keeps nothing, and sends nothing more: of a request that was answered before its end, that may never come. */
  drop(): void {
    this.#body?.release();
    this.#body = undefined;
  }
}
