import type { Logger } from '../../identity/index.ts';
import type { KubernetesApi } from '../../kubernetes/index.ts';
import { type Clock, type Finding, finding, type ObjectReference, type Random } from '../../model/index.ts';
import type { Kind, Manifest } from '../../resources/index.ts';
import { Debounce } from '../debounce.ts';
import type { Provider } from '../provider.ts';
import { type LiveObject, ObjectStore } from './object-store.ts';
import { objectKey, Reflector } from './reflector.ts';
import { type WatchedKind, watchedKinds } from './watched-kinds.ts';

export interface KubernetesProviderOptions {
  readonly api: KubernetesApi;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Provides the objects of a cluster. Where the API server is away the last ones stay. */
export interface KubernetesProvider extends Provider {
  /** What the cluster has of an object now. */
  live(reference: ObjectReference): LiveObject | undefined;
  liveOfKind(kind: Kind): Iterable<readonly [ObjectReference, LiveObject]>;
  /** Calls back whenever an object has a new version, be it only that its status changed. */
  onTouch(listener: (reference: ObjectReference) => void): void;
}

class Watched {
  readonly kind: Kind;
  readonly store: ObjectStore;
  readonly reflector: Reflector;

  constructor(
    { kind, versions, selection, keepsStatus }: WatchedKind,
    options: KubernetesProviderOptions,
    on: Listener,
  ) {
    this.kind = kind;
    this.store = new ObjectStore({
      keepStatus: keepsStatus,
      onChange: () => on.change(kind),
      onTouch: (key) => on.touch(kind, key),
    });
    const onState = () => on.state(kind);
    this.reflector = new Reflector({ ...options, kind, versions, selection, sink: this.store, onState });
  }
}

interface Listener {
  change(kind: Kind): void;
  touch(kind: Kind, key: string): void;
  state(kind: Kind): void;
}

/** `read` resolves once every kind was listed, however long the API server takes to answer. */
export function createKubernetesProvider(options: KubernetesProviderOptions): KubernetesProvider {
  const listeners: ((reference: ObjectReference) => void)[] = [];
  let changed = new Set<Kind>();
  let onChange: ((manifest: Manifest, changed: ReadonlySet<Kind>) => void) | undefined;
  const debounce = new Debounce(options.clock, () => {
    const kinds = changed;
    changed = new Set();
    onChange?.(manifest(), kinds);
  });
  const poke = () => {
    if (onChange) debounce.poke();
  };
  const on: Listener = {
    change(kind) {
      changed.add(kind);
      poke();
    },
    touch(kind, key) {
      for (const listener of listeners) listener(referenceOf(kind, key));
    },
    state(kind) {
      const problem = watched.get(kind)?.reflector.problem;
      // Once it is read, findings tell of it.
      if (!onChange && problem) options.logger.warn({ kind, reason: problem }, 'objects of the cluster cannot be read');
      poke();
    },
  };
  const watched = new Map(watchedKinds.map((kind) => [kind.kind as string, new Watched(kind, options, on)]));
  const all = [...watched.values()];
  const manifest = (): Manifest => ({
    objects: all.flatMap(({ store }) => store.objects()),
    findings: [...missingKinds(all), ...unreadKinds(all), ...all.flatMap(({ store }) => store.findings())],
  });

  return {
    async read() {
      for (const { reflector } of all) reflector.start();
      await Promise.all(all.map(({ reflector }) => reflector.settled));
      changed.clear();
      return manifest();
    },
    watch(callback) {
      onChange = callback;
      // What came since it was read.
      if (changed.size > 0) debounce.poke();
    },
    live: ({ kind, namespace, name }) => watched.get(kind)?.store.get(objectKey({ namespace, name })),
    *liveOfKind(kind) {
      for (const [key, object] of watched.get(kind)?.store.entries() ?? []) yield [referenceOf(kind, key), object];
    },
    onTouch: (listener) => listeners.push(listener),
    async close() {
      onChange = undefined;
      debounce.cancel();
      for (const { reflector } of all) reflector.close();
    },
  };
}

function referenceOf(kind: Kind, key: string): ObjectReference {
  const [namespace, name] = key.split('/');
  return { kind, namespace, name };
}

function missingKinds(all: readonly Watched[]): Finding[] {
  const kinds = all.filter(({ reflector }) => reflector.missing).map(({ kind }) => kind);
  if (kinds.length === 0) return [];
  const message = `the cluster does not know ${kinds.join(', ')}; the mesh goes on without`;
  return [finding('MW1007', { message, hint: 'install the definitions of Gateway API, and those of stacks/crds' })];
}

/** One finding for all kinds: mostly it is the API server that is away. */
function unreadKinds(all: readonly Watched[]): Finding[] {
  const [first] = all.filter(({ reflector }) => reflector.problem !== undefined);
  if (!first) return [];
  const message = `${first.kind}: ${first.reflector.problem}`;
  const hint = 'the mesh goes on with what was last read; does the API server answer, and let the controller read?';
  return [finding('MW1008', { message, hint })];
}
