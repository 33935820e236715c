import type { Mirror, Random } from '../model/index.ts';
import type {
  ClientConnection,
  HeaderList,
  PoolWaiter,
  RequestHead,
  RequestReceiver,
  ResetReason,
  ResponseReceiver,
} from '../net/index.ts';
import type { Cluster } from './cluster.ts';

/** Takes a mirrored request's answer and forgets it. */
const ignoreResponse: ResponseReceiver = {
  onInformational() {},
  onResponse() {},
  onData() {},
  onEnd() {},
  onReset() {},
  onDrain() {},
};

/** Sends a copy of a request, once, and ignores what comes of it. */
function sendCopy(
  cluster: Cluster,
  head: RequestHead,
  body: readonly Buffer[],
  trailers: HeaderList | undefined,
): void {
  const waiter: PoolWaiter = {
    onConnection(connection: ClientConnection) {
      const stream = connection.request(head, body.length === 0, ignoreResponse);
      if (body.length === 0) return;
      for (const chunk of body) stream.write(chunk);
      stream.end(trailers);
    },
    onUnavailable() {},
  };
  cluster.pick(undefined)?.pool.acquire(waiter);
}

/** Whether this request is in the mirrored share. */
export function isMirrored(mirror: Mirror, random: Random): boolean {
  return mirror.percent >= 100 || random() * 100 < mirror.percent;
}

/** Copies a request while it passes: a body larger than `limit` bytes is not mirrored. */
export class MirroringReceiver implements RequestReceiver {
  readonly #inner: RequestReceiver;
  readonly #clusters: readonly Cluster[];
  readonly #head: RequestHead;
  #left: number;
  #body: Buffer[] = [];

  constructor(inner: RequestReceiver, clusters: readonly Cluster[], head: RequestHead, limit: number) {
    this.#inner = inner;
    this.#clusters = clusters;
    this.#head = { ...head, headers: [...head.headers] };
    this.#left = limit;
  }

  onData(chunk: Buffer): void {
    this.#left -= chunk.length;
    if (this.#left >= 0) this.#body.push(Buffer.from(chunk));
    else this.#body = [];
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
    for (const cluster of this.#clusters) sendCopy(cluster, this.#head, this.#body, trailers);
  }
}
