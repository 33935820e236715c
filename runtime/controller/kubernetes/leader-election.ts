import * as z from 'zod';
import type { Logger } from '../../identity/index.ts';
import { type KubernetesApi, type RawObject, unlessConflict } from '../../kubernetes/index.ts';
import type { Clock, Random } from '../../model/index.ts';
import { pause } from './backoff.ts';
import { Rounds } from './rounds.ts';

export interface LeaderElectionOptions {
  readonly api: KubernetesApi;
  /** Of the Lease. */
  readonly namespace: string;
  readonly name: string;
  /** Unlike that of every other process there ever was. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** From now on this process leads. */
  readonly onLead: () => void;
  /** From now on it does not. */
  readonly onLose: () => void;
}

/** As Kubernetes' own controllers have it. Milliseconds. */
const leaseDuration = 15_000;
const renewDeadline = 10_000;
const retryPeriod = 2_000;
/** How long a process that stops waits for its lease to be taken back. */
const releaseTimeout = 3_000;
/** A lease that says it holds for longer is not believed. */
const longestLease = 300_000;

const kind = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' } as const;
const specSchema = z
  .object({
    holderIdentity: z.string().nullish(),
    leaseDurationSeconds: z.int().nullish(),
    renewTime: z.string().nullish(),
    acquireTime: z.string().nullish(),
    leaseTransitions: z.int().nullish(),
  })
  .default({});

/**
 * One of several processes leads: who holds the Lease, and renews it. Another one's clock is never believed, only that
 * a lease did not change for as long as it holds. Between the end of one's lead and the begin of the next one's there
 * are five seconds at least, unless the first one gave it back.
 */
export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #rounds: Rounds;
  #deadline: { cancel(): void } | undefined;
  #leading = false;
  /** The lease as it was last seen to change, and when that was. */
  #seen: { readonly version: string | undefined; readonly at: number } | undefined;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    const complaint = 'the lease of the leader can be neither taken nor renewed';
    this.#rounds = new Rounds({ ...options, interval: retryPeriod, complaint });
  }

  get leading(): boolean {
    return this.#leading;
  }

  start(): void {
    this.#rounds.start(() => this.#renew());
  }

  /** Stops to lead, then gives the lease back, so that another one need not wait for its end. */
  async close(): Promise<void> {
    const { clock } = this.#options;
    const led = this.#leading;
    this.#rounds.close();
    this.#lose('the process stops');
    if (led)
      await Promise.race([this.#release().catch(() => {}), pause(clock, releaseTimeout, new AbortController().signal)]);
  }

  async #renew(): Promise<void> {
    const sent = this.#options.clock.now();
    if (await this.#acquire()) this.#lead(sent);
    else this.#lose('another one holds the lease');
  }

  /** Takes the lease where nobody has it, renews it where it is ours. */
  async #acquire(): Promise<boolean> {
    const { api, namespace, name, identity, clock } = this.#options;
    const lease = await api.read({ ...kind, namespace, name });
    if (this.#rounds.closed) return false;
    if (!lease) {
      return unlessConflict(api.create({ ...kind, metadata: { name, namespace }, spec: this.#spec(undefined, 0) }));
    }
    const version = lease.metadata.resourceVersion;
    if (!this.#seen || this.#seen.version !== version) this.#seen = { version, at: clock.now() };
    const spec = specSchema.parse(lease.spec);
    const { holderIdentity: holder, leaseDurationSeconds: seconds, acquireTime, leaseTransitions: transitions } = spec;
    const duration = seconds ? Math.min(seconds * 1000, longestLease) : leaseDuration;
    if (holder && holder !== identity && clock.now() < this.#seen.at + duration) return false;
    const next =
      holder === identity
        ? this.#spec(acquireTime ?? undefined, transitions ?? 0)
        : this.#spec(undefined, (transitions ?? 0) + 1);
    return unlessConflict(api.replace({ ...lease, spec: next }));
  }

  #lead(sent: number): void {
    const { clock, onLead, logger, identity } = this.#options;
    const left = sent + renewDeadline - clock.now();
    if (left <= 0 || this.#rounds.closed) return;
    this.#deadline?.cancel();
    this.#deadline = clock.schedule(left, () => this.#lose('the lease could not be renewed'));
    if (this.#leading) return;
    this.#leading = true;
    logger.info({ identity }, 'this controller leads: it writes statuses');
    onLead();
  }

  #lose(reason: string): void {
    this.#deadline?.cancel();
    if (!this.#leading) return;
    this.#leading = false;
    this.#options.logger.info({ reason }, 'this controller does not lead any more');
    this.#options.onLose();
  }

  async #release(): Promise<void> {
    const { api, namespace, name, identity } = this.#options;
    const lease = await api.read({ ...kind, namespace, name });
    const spec = specSchema.parse(lease?.spec);
    if (!lease || spec.holderIdentity !== identity) return;
    await api.replace({ ...lease, spec: { ...spec, holderIdentity: '', leaseDurationSeconds: 1 } });
  }

  #spec(acquireTime: string | undefined, leaseTransitions: number): RawObject['spec'] {
    const now = microTime(this.#options.clock.wallTime());
    return {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: leaseDuration / 1000,
      acquireTime: acquireTime ?? now,
      renewTime: now,
      leaseTransitions,
    };
  }
}

/** Kubernetes' MicroTime has six digits, no more and no fewer. */
function microTime(wallTime: number): string {
  return new Date(wallTime).toISOString().replace('Z', '000Z');
}
