import type { Mirror, Random } from '../model/index.ts';
import type {
  ClientConnection,
  HeaderList,
  PoolWaiter,
  RequestHead,
  RequestReceiver,
  ResetReason,
  ResponseHead,
  ResponseReceiver,
} from '../net/index.ts';
import { BodyCopy } from './body-copy.ts';
import type { Cluster } from './cluster.ts';
import type { ProxyContext } from './exchange-plan.ts';

/** Sends copies of requests and ignores what comes of them. Who never answers must not make them pile up. */
export class Mirrors {
  readonly #context: ProxyContext;
  #underWay = 0;

  constructor(context: ProxyContext) {
    this.#context = context;
  }

  send(cluster: Cluster, head: RequestHead, body: BodyCopy, trailers: HeaderList | undefined): void {
    const upstream = this.#underWay < this.#context.limits.maxMirrored ? cluster.pick(undefined) : undefined;
    if (!upstream) return;
    this.#underWay++;
    upstream.pool.acquire(new Copy(head, body, trailers, () => this.#underWay--));
  }
}

/** One copy on its way: `done` is called once, however it ends. */
class Copy implements PoolWaiter, ResponseReceiver {
  readonly #head: RequestHead;
  readonly #body: BodyCopy;
  readonly #trailers: HeaderList | undefined;
  readonly #done: () => void;

  constructor(head: RequestHead, body: BodyCopy, trailers: HeaderList | undefined, done: () => void) {
    this.#head = head;
    this.#body = body;
    this.#trailers = trailers;
    this.#done = done;
  }

  onConnection(connection: ClientConnection): void {
    const headOnly = this.#body.bytes === 0 && this.#trailers === undefined;
    const stream = connection.request(this.#head, headOnly, this);
    if (headOnly) return;
    this.#body.writeTo(stream);
    stream.end(this.#trailers);
  }

  onUnavailable(): void {
    this.#done();
  }

  onInformational(): void {}

  onResponse(_head: ResponseHead, end: boolean): void {
    if (end) this.#done();
  }

  onData(): void {}

  onEnd(): void {
    this.#done();
  }

  onReset(): void {
    this.#done();
  }

  onDrain(): void {}
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
  readonly #body = new BodyCopy();
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
    if (this.#left >= 0) this.#body.add(chunk);
    else this.#body.drop();
    this.#inner.onData(chunk);
  }

  onEnd(trailers: HeaderList | undefined): void {
    this.send(trailers);
    this.#inner.onEnd(trailers);
  }

  onReset(reason: ResetReason): void {
    this.#inner.onReset(reason);
  }

  onDrain(): void {
    this.#inner.onDrain();
  }

  /** Sends the copies; called at once for a request without body. */
  send(trailers: HeaderList | undefined): void {
    if (this.#left < 0) return;
    for (const cluster of this.#clusters) this.#mirrors.send(cluster, this.#head, this.#body, trailers);
  }
}
