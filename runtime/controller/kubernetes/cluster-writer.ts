import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../../identity/index.ts';
import type { KubernetesApi } from '../../kubernetes/index.ts';
import type { Clock, Random, Resource, Timer } from '../../model/index.ts';
import type { Controller } from '../controller.ts';
import { type RefusalMessages, refusedOf } from '../refusals.ts';
import { InjectorBundle } from './injector-bundle.ts';
import type { KubernetesProvider } from './kubernetes-provider.ts';
import { meshNamespaces } from './mesh-namespaces.ts';
import { RootPublisher } from './root-publisher.ts';
import { type Refusals, referenceKey, sourcesOf } from './status/programmed.ts';
import { StatusWriter } from './status/status-writer.ts';

export interface ClusterWriterOptions {
  readonly api: KubernetesApi;
  readonly provider: KubernetesProvider;
  readonly controller: Pick<Controller, 'authority' | 'bundlePem' | 'onMesh' | 'refusals'>;
  /** What proxies refuse that are connected to other controllers. */
  readonly othersRefusals: () => RefusalMessages;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Milliseconds between two looks at what proxies refuse. */
const refusalInterval = 2_000;

/** Writes to the cluster what the controller has to say there, while it is started: for the leader. */
export class ClusterWriter {
  readonly #options: ClusterWriterOptions;
  readonly #statuses: StatusWriter;
  readonly #roots: RootPublisher;
  readonly #injector: InjectorBundle;
  #resources: readonly Resource[] = [];
  #refusals: Refusals = new Map();
  #timer: Timer | undefined;

  constructor(options: ClusterWriterOptions) {
    this.#options = options;
    const { controller } = options;
    const bundlePem = () => controller.bundlePem;
    this.#statuses = new StatusWriter(options);
    this.#roots = new RootPublisher({ ...options, bundlePem });
    this.#injector = new InjectorBundle({ ...options, bundlePem });
    controller.onMesh((mesh) => {
      this.#resources = mesh.resources;
      this.#statuses.update(mesh);
      this.#roots.update(meshNamespaces(mesh.objects));
    });
    controller.authority.onChange(() => {
      this.#roots.checkAll();
      this.#injector.check();
    });
  }

  start(): void {
    this.#statuses.start();
    this.#roots.start();
    this.#injector.start();
    this.#lookAtRefusals();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#statuses.stop();
    this.#roots.stop();
    this.#injector.stop();
  }

  #lookAtRefusals(): void {
    const refusals = this.#readRefusals();
    if (!isDeepStrictEqual(refusals, this.#refusals)) {
      this.#refusals = refusals;
      this.#statuses.refuse(refusals);
    }
    this.#timer = this.#options.clock.schedule(refusalInterval, () => this.#lookAtRefusals());
  }

  #readRefusals(): Refusals {
    const refusals = new Map<string, string>();
    const { controller, othersRefusals } = this.#options;
    const messages = new Map([...othersRefusals(), ...controller.refusals()]);
    for (const { resource, message } of refusedOf(this.#resources, messages)) {
      const [namespace, name] = resource.name.split('/');
      const itself = resource.kind === 'gateway' ? [{ kind: 'Gateway', namespace, name }] : [];
      for (const source of [...itself, ...sourcesOf(resource)]) refusals.set(referenceKey(source), message);
    }
    return refusals;
  }
}
