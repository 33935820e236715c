import * as z from 'zod';
import type { Logger } from '../../identity/index.ts';
import { type KubernetesApi, unlessConflict } from '../../kubernetes/index.ts';
import type { Clock, Random } from '../../model/index.ts';
import { labels, refusalsName } from '../../resources/index.ts';
import type { RefusalMessages } from '../refusals.ts';
import { managedBy } from './ownership.ts';
import { Rounds } from './rounds.ts';

export interface SharedRefusalsOptions {
  readonly api: KubernetesApi;
  /** Of the ConfigMap. */
  readonly namespace: string;
  /** Name of this controller's pod. */
  readonly pod: string;
  /** What the proxies that are connected here refuse now. */
  readonly own: () => RefusalMessages;
  /** Whether this controller writes statuses. */
  readonly isLeader: () => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Milliseconds between two looks. */
const interval = 2_000;
/** Milliseconds after which an entry is written again, so that others see that its writer is there. */
const renewal = 20_000;
/** Milliseconds without a change after which the writer of an entry is believed to be gone. */
const expiry = 60_000;
/** Refusals in an entry: ConfigMaps have a bound of a megabyte. */
const maxEntries = 50;

const kind = { apiVersion: 'v1', kind: 'ConfigMap' } as const;
const dataSchema = z.record(z.string(), z.string()).default({});
const entrySchema = z.object({ renewed: z.string(), refusals: z.record(z.string(), z.string()) });

/**
 * What proxies refuse that are connected to other controllers than the one which writes statuses. Each controller keeps
 * an entry in one ConfigMap while there is something to say, and the leader reads them all: see
 * docs/adr/0002-controllers-tell-the-leader-of-refusals-in-a-configmap.md.
 */
export class SharedRefusals {
  readonly #options: SharedRefusalsOptions;
  readonly #rounds: Rounds;
  /** What the ConfigMap has of ours; `undefined` where that is not known. */
  #published: string | undefined;
  #renewedAt = 0;
  #others: RefusalMessages = new Map();
  /** Entries as they were last seen to change, and when that was: another one's clock is never believed. */
  #seen = new Map<string, { readonly text: string; readonly at: number }>();

  constructor(options: SharedRefusalsOptions) {
    this.#options = options;
    this.#rounds = new Rounds({
      ...options,
      interval,
      complaint: 'controllers cannot tell each other what proxies refuse',
    });
  }

  /** What others tell; nothing while this controller does not lead. */
  get others(): RefusalMessages {
    return this.#others;
  }

  start(): void {
    this.#rounds.start(() => this.#look());
  }

  /** Takes back what it told. */
  async close(): Promise<void> {
    this.#rounds.close();
    if (this.#published) await this.#exchange('').catch(() => {});
  }

  async #look(): Promise<void> {
    const { own, isLeader, clock } = this.#options;
    // The leader need not tell itself.
    const text = isLeader() ? '' : formatEntry(own());
    const isNew = text !== this.#published;
    const isDue = text !== '' && clock.now() >= this.#renewedAt + renewal;
    if (isLeader() || isNew || isDue) await this.#exchange(text);
    if (!isLeader()) this.#others = new Map();
  }

  /** Reads what there is, and changes of it what is ours, or a leader's to tidy up. */
  async #exchange(text: string): Promise<void> {
    const { api, namespace, pod, isLeader, clock } = this.#options;
    const object = await api.read({ ...kind, namespace, name: refusalsName });
    const before = dataSchema.parse(object?.data);
    const data = { ...before };
    const now = clock.now();
    if (text === '') delete data[pod];
    else if (text !== this.#published || now >= this.#renewedAt + renewal) {
      data[pod] = JSON.stringify({ renewed: new Date(clock.wallTime()).toISOString(), refusals: JSON.parse(text) });
    }
    if (isLeader()) this.#readOthers(data, now);
    if (Object.keys(before).length === Object.keys(data).length && before[pod] === data[pod]) {
      this.#published = text;
      return;
    }
    const written = await unlessConflict(
      object
        ? api.replace({ ...object, data })
        : api.create({
            ...kind,
            metadata: { name: refusalsName, namespace, labels: { [labels.appManagedBy]: managedBy } },
            data,
          }),
    );
    if (!written) return;
    this.#published = text;
    this.#renewedAt = now;
  }

  /** Takes out of `data` what nobody renews any more. */
  #readOthers(data: Record<string, string>, now: number): void {
    const seen = new Map<string, { readonly text: string; readonly at: number }>();
    const others = new Map<string, string>();
    for (const [pod, text] of Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (pod === this.#options.pod) continue;
      const known = this.#seen.get(pod);
      const last = known?.text === text ? known : { text, at: now };
      seen.set(pod, last);
      if (now >= last.at + expiry) {
        delete data[pod];
        continue;
      }
      for (const [resource, message] of Object.entries(parseEntry(text))) {
        if (!others.has(resource)) others.set(resource, message);
      }
    }
    this.#seen = seen;
    this.#others = others;
  }
}

/** Empty where there is nothing to say. */
function formatEntry(messages: RefusalMessages): string {
  if (messages.size === 0) return '';
  const first = [...messages].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, maxEntries);
  return JSON.stringify(Object.fromEntries(first));
}

function parseEntry(text: string): Readonly<Record<string, string>> {
  try {
    return entrySchema.parse(JSON.parse(text)).refusals;
  } catch {
    // Of another version, or somebody wrote it by hand: there is nothing to be had from it.
    return {};
  }
}
