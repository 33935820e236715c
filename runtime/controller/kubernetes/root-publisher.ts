import type { Logger } from '../../identity/index.ts';
import { trustBundle } from '../../injection/index.ts';
import { ApiError, type KubernetesApi, type RawObject } from '../../kubernetes/index.ts';
import type { Clock, Random } from '../../model/index.ts';
import { labels } from '../../resources/index.ts';
import { ObjectWatch } from './object-watch.ts';
import { fieldManager, managedBy } from './ownership.ts';
import { WorkQueue } from './work-queue.ts';

export interface RootPublisherOptions {
  readonly api: KubernetesApi;
  /** PEM of the roots, asked for each time. */
  readonly bundlePem: () => string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const kind = { apiVersion: 'v1', kind: 'ConfigMap' } as const;

/**
 * Keeps a ConfigMap with the trust bundle in each namespace that has something of the mesh, while it is started. One
 * of that name that is not ours is left alone; ours stays where the mesh has left, as pods may still be starting.
 */
export class RootPublisher {
  readonly #options: RootPublisherOptions;
  readonly #queue: WorkQueue;
  #watch: ObjectWatch | undefined;
  #namespaces: ReadonlySet<string> = new Set();
  /** Those that have a ConfigMap of that name which is not ours. */
  readonly #foreign = new Set<string>();
  /** Whether it is known what there is. */
  #ready = false;

  constructor(options: RootPublisherOptions) {
    this.#options = options;
    const { clock, random, logger } = options;
    this.#queue = new WorkQueue({
      handle: (namespace) => this.#publish(namespace),
      onError: (namespace, error, failures) => {
        // A namespace that is being removed takes nothing any more.
        if (failures !== 3) return;
        logger.warn({ namespace, reason: String(error) }, 'the trust bundle could not be published');
      },
      clock,
      random,
    });
  }

  start(): void {
    const { api, clock, random } = this.#options;
    const watch = new ObjectWatch({
      api,
      ...kind,
      selection: { fieldSelector: `metadata.name=${trustBundle.configMap}` },
      onChange: (key) => this.#check(key.split('/')[0]),
      clock,
      random,
    });
    this.#watch = watch;
    void watch.start().then(() => {
      if (this.#watch !== watch) return;
      this.#ready = true;
      this.checkAll();
    });
  }

  stop(): void {
    this.#watch?.close();
    this.#watch = undefined;
    this.#ready = false;
    this.#queue.clear();
  }

  update(namespaces: ReadonlySet<string>): void {
    this.#namespaces = namespaces;
    for (const namespace of this.#foreign) if (!namespaces.has(namespace)) this.#foreign.delete(namespace);
    this.checkAll();
  }

  /** Looks at every namespace; to be called when the bundle changed. */
  checkAll(): void {
    for (const namespace of this.#namespaces) this.#check(namespace);
  }

  #check(namespace: string): void {
    if (!this.#ready || !this.#namespaces.has(namespace)) return;
    const current = this.#watch?.objects.get(`${namespace}/${trustBundle.configMap}`);
    if (!this.#isRight(current) && !this.#isForeign(namespace, current)) this.#queue.add(namespace);
  }

  /** Whether it is somebody else's; which is told once. */
  #isForeign(namespace: string, object: RawObject | undefined): boolean {
    if (!object || object.metadata.labels?.[labels.appManagedBy] === managedBy) {
      this.#foreign.delete(namespace);
      return false;
    }
    if (!this.#foreign.has(namespace)) {
      this.#foreign.add(namespace);
      const reason = `it has no label ${labels.appManagedBy}: ${managedBy}`;
      const details = { namespace, name: trustBundle.configMap, reason };
      this.#options.logger.warn(details, 'a ConfigMap with the name of the trust bundle is not ours');
    }
    return true;
  }

  #isRight(object: RawObject | undefined): boolean {
    const data = object?.data as Record<string, unknown> | undefined;
    return data?.[trustBundle.key] === this.#options.bundlePem();
  }

  async #publish(namespace: string): Promise<void> {
    const { api, bundlePem } = this.#options;
    const name = trustBundle.configMap;
    const current = await api.read({ ...kind, namespace, name });
    if (!this.#ready || this.#isRight(current) || this.#isForeign(namespace, current)) return;
    const metadata = { name, namespace, labels: { [labels.appManagedBy]: managedBy } };
    try {
      await api.apply({ ...kind, metadata, data: { [trustBundle.key]: bundlePem() } }, { fieldManager, force: true });
    } catch (error) {
      // The namespace is gone; should it come back, it is looked at again.
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  }
}
