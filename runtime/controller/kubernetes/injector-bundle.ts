import * as z from 'zod';
import type { Logger } from '../../identity/index.ts';
import { injectorName } from '../../injection/index.ts';
import type { KubernetesApi } from '../../kubernetes/index.ts';
import type { Clock, Random } from '../../model/index.ts';
import { ObjectWatch } from './object-watch.ts';
import { fieldManager } from './ownership.ts';
import { WorkQueue } from './work-queue.ts';

export interface InjectorBundleOptions {
  readonly api: KubernetesApi;
  /** PEM of the roots, asked for each time. */
  readonly bundlePem: () => string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const kind = { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'MutatingWebhookConfiguration' } as const;
const schema = z.object({
  webhooks: z
    .array(z.object({ name: z.string(), clientConfig: z.object({ caBundle: z.string().optional() }) }))
    .nullish(),
});

/** Tells the API server what to verify the injector with, while it is started. Without injector there is nothing to do. */
export class InjectorBundle {
  readonly #options: InjectorBundleOptions;
  readonly #queue: WorkQueue;
  #watch: ObjectWatch | undefined;

  constructor(options: InjectorBundleOptions) {
    this.#options = options;
    const { clock, random, logger } = options;
    this.#queue = new WorkQueue({
      handle: () => this.#write(),
      onError: (_name, error, failures) => {
        if (failures !== 1 && failures % 10 !== 0) return;
        logger.warn({ reason: String(error) }, 'the certificate of the injector could not be announced');
      },
      clock,
      random,
    });
  }

  start(): void {
    const { api, clock, random } = this.#options;
    const selection = { fieldSelector: `metadata.name=${injectorName}` };
    this.#watch = new ObjectWatch({ api, ...kind, selection, onChange: () => this.check(), clock, random });
    void this.#watch.start();
  }

  stop(): void {
    this.#watch?.close();
    this.#watch = undefined;
    this.#queue.clear();
  }

  /** To be called when the bundle changed. */
  check(): void {
    if (this.#outdated().length > 0) this.#queue.add(injectorName);
  }

  /** Names of the webhooks that have another bundle. */
  #outdated(): string[] {
    const parsed = schema.safeParse(this.#watch?.objects.get(`/${injectorName}`));
    const caBundle = this.#caBundle();
    return (parsed.data?.webhooks ?? [])
      .filter(({ clientConfig }) => clientConfig.caBundle !== caBundle)
      .map(({ name }) => name);
  }

  #caBundle(): string {
    return Buffer.from(this.#options.bundlePem()).toString('base64');
  }

  /** Applies the bundles only; all else is of who installed the webhooks. */
  async #write(): Promise<void> {
    const parsed = schema.safeParse(this.#watch?.objects.get(`/${injectorName}`));
    const names = (parsed.data?.webhooks ?? []).map(({ name }) => name);
    if (this.#outdated().length === 0) return;
    const clientConfig = { caBundle: this.#caBundle() };
    const webhooks = names.map((name) => ({ name, clientConfig }));
    await this.#options.api.apply(
      { ...kind, metadata: { name: injectorName }, webhooks },
      { fieldManager, force: true },
    );
  }
}
