import { ApiError, type KubernetesApi, type RawObject, type Selection } from '../../kubernetes/index.ts';
import type { Clock, Random } from '../../model/index.ts';
import { backoff, pause } from './backoff.ts';

/** Where a reflector puts what it sees. Objects are known by {@link objectKey}. */
export interface ReflectorSink {
  /** The object is there; it may be one that is known already. */
  update(object: RawObject): void;
  remove(key: string): void;
  /** Everything else is gone. */
  retain(keys: ReadonlySet<string>): void;
}

export interface ReflectorOptions {
  readonly api: KubernetesApi;
  readonly kind: string;
  /** Of these the first that the cluster serves is read. */
  readonly versions: readonly string[];
  readonly selection: Selection;
  readonly sink: ReflectorSink;
  readonly clock: Clock;
  readonly random: Random;
  /** Called when {@link Reflector.missing} or {@link Reflector.problem} changed. */
  readonly onState: () => void;
}

const pageSize = 500;
/** Everything is listed again after this, in case a watch lost something without a word. */
const relistInterval = 10 * 60_000;
/** The server ends a watch after this, or up to twice it. */
const watchLifetime = 4 * 60_000;
/** A bookmark comes each minute. */
const idleTimeout = 100_000;
/** A watch that ends sooner is no success. */
const shortWatch = 1_000;
/** How often it is looked whether a kind is there by now. */
const missingInterval = 10_000;
/** A kind must be missing for this long until its objects are believed to be gone with it. */
const missingPatience = 30_000;

/** `namespace/name`; `/name` where there is no namespace. */
export function objectKey({ namespace = '', name }: { readonly namespace?: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}

/** Keeps a sink like one kind of objects of a cluster: lists them, watches them, starts again whatever happens. */
export class Reflector {
  /** Resolves once all objects are in the sink, or the cluster has no such kind. */
  readonly settled: Promise<void>;
  /** Whether the cluster has no such kind. */
  missing = false;
  /** Why the sink may be behind now. */
  problem: string | undefined;
  readonly #options: ReflectorOptions;
  readonly #closing = new AbortController();
  readonly #settle: () => void;
  #started = false;
  /** Index into the versions. */
  #version = 0;
  /** Where the next watch goes on from; without it all is listed first. */
  #from: string | undefined;
  #relistAt = 0;
  #missingSince: number | undefined;
  /** In a row. A try counts as one until a watch was open for a while, or told of something. */
  #failures = 0;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.settled = promise;
    this.#settle = resolve;
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    void this.#run();
  }

  /** Ends it at once; an answer that is still to come is not used. */
  close(): void {
    this.#closing.abort();
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      let delay = 0;
      this.#failures++;
      try {
        if (this.#from === undefined) await this.#list();
        if (signal.aborted) return;
        await this.#watch();
        if (this.#failures > 0) delay = backoff(this.#failures, random);
      } catch (error) {
        if (signal.aborted) return;
        delay = this.#judge(error);
      }
      if (delay > 0) await pause(clock, delay, signal);
    }
  }

  async #list(): Promise<void> {
    const { api, sink, selection, clock, random } = this.#options;
    const keys = new Set<string>();
    let continueFrom: string | undefined;
    let version: string;
    do {
      const page = await api.list(this.#kind, { ...selection, limit: pageSize, continueFrom });
      if (this.#closing.signal.aborted) return;
      for (const object of page.items) {
        keys.add(objectKey(object.metadata));
        sink.update(object);
      }
      ({ continueFrom, resourceVersion: version } = page);
    } while (continueFrom !== undefined);
    sink.retain(keys);
    this.#from = version;
    this.#relistAt = clock.now() + relistInterval * (0.9 + random() / 5);
    this.#succeeded();
    this.#settle();
  }

  async #watch(): Promise<void> {
    const { api, sink, selection, clock, random } = this.#options;
    const relist = new AbortController();
    const timer = clock.schedule(Math.max(0, this.#relistAt - clock.now()), () => relist.abort());
    let openedAt = Number.POSITIVE_INFINITY;
    try {
      await api.watch(this.#kind, {
        ...selection,
        resourceVersion: this.#from!,
        signal: AbortSignal.any([this.#closing.signal, relist.signal]),
        idleTimeout,
        lifetime: watchLifetime * (1 + random()),
        onOpen: () => {
          openedAt = clock.now();
          this.#succeeded();
        },
        onEvent: (type, object) => {
          if (type === 'DELETED') sink.remove(objectKey(object.metadata));
          else if (type !== 'BOOKMARK') sink.update(object);
          this.#from = object.metadata.resourceVersion ?? this.#from;
          this.#failures = 0;
        },
      });
    } finally {
      timer.cancel();
      if (clock.now() - openedAt >= shortWatch) this.#failures = 0;
      if (relist.signal.aborted) this.#from = undefined;
    }
  }

  /** @returns milliseconds to wait */
  #judge(error: unknown): number {
    const { clock, random, versions } = this.#options;
    const status = error instanceof ApiError ? error.status : undefined;
    if (status === 404) {
      this.#from = undefined;
      this.#version = (this.#version + 1) % versions.length;
      return this.#version === 0 ? this.#isMissing(clock.now()) : 0;
    }
    if (status === 410) {
      this.#from = undefined;
      // The first time it is what happens to whom was away for long.
      return this.#failures <= 1 ? 0 : backoff(this.#failures, random);
    }
    // A watch that breaks once is nothing to tell of.
    if (this.#failures > 1) this.#setState(this.missing, error instanceof Error ? error.message : String(error));
    return backoff(Math.max(1, this.#failures), random, error);
  }

  #isMissing(now: number): number {
    this.#missingSince ??= now;
    if (this.#relistAt === 0 || now - this.#missingSince >= missingPatience) {
      this.#options.sink.retain(new Set());
      this.#setState(true, undefined);
      this.#settle();
    }
    return missingInterval;
  }

  #succeeded(): void {
    this.#missingSince = undefined;
    this.#setState(false, undefined);
  }

  #setState(missing: boolean, problem: string | undefined): void {
    if (missing === this.missing && problem === this.problem) return;
    this.missing = missing;
    this.problem = problem;
    this.#options.onState();
  }

  get #kind() {
    const { kind, versions } = this.#options;
    return { kind, apiVersion: versions[this.#version] };
  }
}
