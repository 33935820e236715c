import {
  ApiError,
  type KubernetesApi,
  type ListOptions,
  type ObjectKind,
  type ObjectRef,
  type RawObject,
  type Selection,
  type TokenReview,
  type WatchEventType,
  type WatchOptions,
} from '../../runtime/kubernetes/index.ts';
import type { Clock } from '../../runtime/model/index.ts';

interface Event {
  readonly type: WatchEventType;
  readonly object: RawObject;
  readonly version: number;
}

interface Watch {
  readonly kind: ObjectKind;
  readonly options: WatchOptions;
  readonly give: (type: WatchEventType, object: RawObject) => void;
  readonly fail: (error?: Error) => void;
}

type Verb = 'read' | 'list' | 'watch' | 'create' | 'replace' | 'apply' | 'remove' | 'reviewToken';

export interface MemoryCall {
  readonly verb: Verb;
  readonly kind: string;
  readonly name?: string;
}

/** What an API server does with objects and their versions, without one. Calls take a turn of the event loop. */
export class MemoryApi implements KubernetesApi {
  readonly calls: MemoryCall[] = [];
  /** Asked before each call; what it throws is the answer. */
  intercept: (call: MemoryCall) => void = () => {};
  /** Whose a token is. */
  readonly tokens = new Map<string, TokenReview>();
  /** Kinds whose definition is not there, as `apiVersion/kind`. */
  readonly missing = new Set<string>();
  /** While set, each watch ends as soon as it was opened. */
  hasty = false;
  /** While set, watches tell nothing: not that they ended, nor of events. */
  silent = false;
  readonly #clock: Clock;
  readonly #objects = new Map<string, RawObject>();
  readonly #watches = new Set<Watch>();
  #events: Event[] = [];
  #version = 100;
  #compacted = 0;
  #down = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** While down, every call fails as one without answer does, and so does every watch that is open. */
  set down(down: boolean) {
    this.#down = down;
    if (down) this.endWatches(unreachable());
  }

  get openWatches(): number {
    return this.#watches.size;
  }

  /** Forgets what happened so far: who watches from before must list again. */
  compact(): void {
    this.#compacted = this.#version;
    this.#events = [];
  }

  /** Ends the watches that are open, of all kinds or of one. */
  endWatches(error?: Error, kind?: string): void {
    for (const watch of [...this.#watches]) if (!kind || watch.kind.kind === kind) watch.fail(error);
  }

  bookmark(): void {
    for (const { kind, give } of this.#watches) {
      give('BOOKMARK', { ...kind, metadata: { name: '', resourceVersion: String(this.#version) } });
    }
  }

  /** Puts an object there, whatever there was, as somebody else would. */
  put(object: RawObject): RawObject {
    const before = this.#objects.get(keyOf(object));
    return this.#store({ status: before?.status, ...object }, before);
  }

  /** What is there now. */
  get(kind: string, name: string, namespace?: string): RawObject | undefined {
    return [...this.#objects.values()].find(
      (object) =>
        object.kind === kind &&
        object.metadata.name === name &&
        (namespace === undefined || object.metadata.namespace === namespace),
    );
  }

  delete(kind: string, name: string, namespace?: string): void {
    const object = this.get(kind, name, namespace);
    if (!object) throw new Error(`there is no ${kind} ${name}`);
    this.#objects.delete(keyOf(object));
    this.#tell('DELETED', { ...object, metadata: { ...object.metadata, resourceVersion: this.#next() } });
  }

  async read(ref: ObjectRef): Promise<RawObject | undefined> {
    await this.#enter({ verb: 'read', kind: ref.kind, name: ref.name });
    return this.#objects.get(refKey(ref));
  }

  async list(kind: ObjectKind, options: ListOptions = {}) {
    await this.#enter({ verb: 'list', kind: kind.kind });
    this.#refuseMissing(kind);
    const all = [...this.#objects.values()].filter((object) => isOf(object, kind) && matches(object, options));
    const start = Number(options.continueFrom ?? 0);
    const end = options.limit === undefined ? all.length : start + options.limit;
    return {
      items: all.slice(start, end),
      resourceVersion: String(this.#version),
      continueFrom: end < all.length ? String(end) : undefined,
    };
  }

  async watch(kind: ObjectKind, options: WatchOptions): Promise<void> {
    await this.#enter({ verb: 'watch', kind: kind.kind });
    this.#refuseMissing(kind);
    const from = Number(options.resourceVersion);
    if (from < this.#compacted) throw new ApiError('too old resource version', { status: 410, reason: 'Expired' });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { idleTimeout = 100_000, signal, onEvent } = options;
    const idle = () =>
      this.#clock.schedule(idleTimeout, () => watch.fail(new ApiError('silence', { status: 0, reason: 'Timeout' })));
    let timer = idle();
    const watch: Watch = {
      kind,
      options,
      give: (type, object) => {
        if (this.silent) return;
        timer.cancel();
        timer = idle();
        onEvent(type, object);
      },
      fail: (error) => {
        timer.cancel();
        if (!this.#watches.delete(watch)) return;
        if (error) reject(error);
        else resolve();
      },
    };
    this.#watches.add(watch);
    signal.addEventListener('abort', () => watch.fail());
    if (signal.aborted) watch.fail();
    else options.onOpen?.();
    if (this.hasty) watch.fail();
    for (const { type, object, version } of this.#events) {
      if (version > from && isOf(object, kind) && matches(object, options)) watch.give(type, object);
    }
    return promise;
  }

  async create(object: RawObject): Promise<RawObject> {
    await this.#enter({ verb: 'create', kind: object.kind, name: object.metadata.name });
    if (this.#objects.has(keyOf(object))) throw new ApiError('it exists', { status: 409, reason: 'AlreadyExists' });
    return this.#store(object, undefined);
  }

  async replace(object: RawObject, subresource?: 'status'): Promise<RawObject> {
    await this.#enter({ verb: 'replace', kind: object.kind, name: object.metadata.name });
    const before = this.#objects.get(keyOf(object));
    if (!before) throw new ApiError('not found', { status: 404, reason: 'NotFound' });
    if (object.metadata.resourceVersion !== before.metadata.resourceVersion) {
      throw new ApiError('it was modified', { status: 409, reason: 'Conflict' });
    }
    const next = subresource ? { ...before, status: object.status } : object;
    return this.#store(next, before);
  }

  async apply(object: RawObject, options: { fieldManager: string; dryRun?: boolean }): Promise<RawObject> {
    await this.#enter({ verb: 'apply', kind: object.kind, name: object.metadata.name });
    const before = this.#objects.get(keyOf(object));
    const next = before ? (merge(before, object) as RawObject) : object;
    return options.dryRun ? next : this.#store(next, before);
  }

  async remove(ref: ObjectRef): Promise<void> {
    await this.#enter({ verb: 'remove', kind: ref.kind, name: ref.name });
    if (this.#objects.has(refKey(ref))) this.delete(ref.kind, ref.name, ref.namespace);
  }

  async reviewToken(token: string): Promise<TokenReview> {
    await this.#enter({ verb: 'reviewToken', kind: 'TokenReview' });
    return this.tokens.get(token) ?? { authenticated: false, error: 'nobody issued it' };
  }

  async version(): Promise<string> {
    return 'v1.36.3';
  }

  close(): void {
    this.endWatches();
  }

  async #enter(call: MemoryCall): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.calls.push(call);
    if (this.#down) throw unreachable();
    this.intercept(call);
  }

  #refuseMissing({ apiVersion, kind }: ObjectKind): void {
    if (this.missing.has(`${apiVersion}/${kind}`)) {
      throw new ApiError(`no kind ${kind}`, { status: 404, reason: 'NotFound' });
    }
  }

  #next(): string {
    return String(++this.#version);
  }

  #store(object: RawObject, before: RawObject | undefined): RawObject {
    const same =
      before && text({ ...before, metadata: labelsOf(before) }) === text({ ...object, metadata: labelsOf(object) });
    if (same) return before;
    const specChanged = !before || text(before.spec) !== text(object.spec);
    const generation = specChanged ? (before?.metadata.generation ?? 0) + 1 : before.metadata.generation;
    const stored: RawObject = {
      ...object,
      metadata: { ...object.metadata, generation, resourceVersion: this.#next() },
    };
    this.#objects.set(keyOf(stored), stored);
    this.#tell(before ? 'MODIFIED' : 'ADDED', stored);
    return stored;
  }

  #tell(type: WatchEventType, object: RawObject): void {
    this.#events.push({ type, object, version: this.#version });
    for (const { kind, options, give } of [...this.#watches]) {
      if (isOf(object, kind) && matches(object, options)) give(type, object);
    }
  }
}

function unreachable(): ApiError {
  return new ApiError('connect ECONNREFUSED', { status: 0, reason: 'Unreachable' });
}

function isOf(object: RawObject, kind: ObjectKind): boolean {
  return object.kind === kind.kind && object.apiVersion === kind.apiVersion;
}

function refKey({ kind, namespace = '', name }: ObjectRef): string {
  return `${kind} ${namespace}/${name}`;
}

function keyOf({ kind, metadata }: RawObject): string {
  return `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
}

/** Enough of selectors for what is asked: `metadata.name=x` and `status.phase!=x`. */
function matches(object: RawObject, { namespace, fieldSelector = '' }: Selection): boolean {
  if (namespace !== undefined && object.metadata.namespace !== namespace) return false;
  return fieldSelector
    .split(',')
    .filter(Boolean)
    .every((term) => {
      const [, path, operator, wanted] = /^([\w.]+)(!?=)(.*)$/.exec(term)!;
      const value = path.split('.').reduce<unknown>((part, key) => (part as Record<string, unknown>)?.[key], object);
      return (value === wanted) === (operator === '=');
    });
}

function labelsOf({ metadata }: RawObject): unknown {
  const { resourceVersion, generation, ...rest } = metadata;
  return rest;
}

function text(value: unknown): string {
  return JSON.stringify(value) ?? '';
}

/** As server-side apply of one manager: maps are merged, lists of named things by name, all else is replaced. */
function merge(before: unknown, after: unknown): unknown {
  if (Array.isArray(before) && Array.isArray(after) && after.every((item) => typeof item?.name === 'string')) {
    const merged = before.map((item) => merge(item, after.find(({ name }) => name === item.name) ?? item));
    return [...merged, ...after.filter(({ name }) => !before.some((item) => item.name === name))];
  }
  if (!isMap(before) || !isMap(after)) return after;
  const result: Record<string, unknown> = { ...before };
  for (const [key, value] of Object.entries(after)) result[key] = merge(before[key], value);
  return result;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
