import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../../../identity/index.ts';
import { ApiError, type KubernetesApi } from '../../../kubernetes/index.ts';
import type { Clock, ObjectReference, Random } from '../../../model/index.ts';
import type { KubernetesObject, ParentRef } from '../../../resources/index.ts';
import type { ObjectStatus } from '../../../translate/index.ts';
import { Debounce } from '../../debounce.ts';
import type { KubernetesProvider } from '../kubernetes-provider.ts';
import type { LiveObject } from '../object-store.ts';
import { watchedKinds } from '../watched-kinds.ts';
import { WorkQueue } from '../work-queue.ts';
import { gatewayAddresses, supportedKinds } from './gateway-details.ts';
import { type DesiredStatus, hasOurParents, mergeStatus } from './merge-status.ts';
import { type Refusals, referenceKey, withProgrammed } from './programmed.ts';

export interface StatusWriterOptions {
  readonly api: KubernetesApi;
  readonly provider: Pick<KubernetesProvider, 'live' | 'liveOfKind' | 'onTouch'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** What statuses are made from. */
export interface StatusSource {
  readonly objects: readonly KubernetesObject[];
  readonly statuses: readonly ObjectStatus[];
}

/** Kinds that may say of us what is not so any more. */
const routeKinds = watchedKinds.map(({ kind }) => kind).filter((kind) => kind.endsWith('Route'));

/**
 * Keeps the statuses of objects in the cluster as they should be, while it is started. It compares with what the
 * provider knows, so what is right already costs no call; only what differs is read anew, merged and written.
 */
export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #queue: WorkQueue;
  #source: StatusSource = { objects: [], statuses: [] };
  #refusals: Refusals = new Map();
  #desired: ReadonlyMap<string, DesiredStatus> = new Map();
  /** Of gateways, as they were last read. */
  #addresses: ReturnType<typeof gatewayAddresses> = new Map();
  readonly #addressesMayDiffer: Debounce;
  #started = false;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    const { clock, random, logger, provider } = options;
    this.#queue = new WorkQueue({
      handle: (key) => this.#write(key),
      onError: (object, error, failures) => {
        // That somebody else was faster is everyday life.
        const expected = error instanceof ApiError && error.status === 409 && failures < 5;
        if (!expected && (failures === 1 || failures % 10 === 0)) {
          logger.warn({ object, failures, reason: String(error) }, 'a status could not be written');
        }
      },
      clock,
      random,
    });
    this.#addressesMayDiffer = new Debounce(clock, () => this.#prepareForAddresses());
    provider.onTouch((reference) => {
      if (!this.#started) return;
      // A load balancer may have given it an address.
      if (reference.kind === 'Service') this.#addressesMayDiffer.poke();
      this.#check(referenceKey(reference));
    });
  }

  start(): void {
    this.#started = true;
    this.#prepare();
  }

  stop(): void {
    this.#started = false;
    this.#addressesMayDiffer.cancel();
    this.#queue.clear();
  }

  update(source: StatusSource): void {
    const { statuses } = this.#source;
    this.#source = source;
    if (source.statuses === statuses) this.#prepareForAddresses();
    else this.#prepare();
  }

  /** What proxies refused. */
  refuse(refusals: Refusals): void {
    this.#refusals = refusals;
    this.#prepare();
  }

  #prepareForAddresses(): void {
    if (!isDeepStrictEqual(this.#readAddresses(), this.#addresses)) this.#prepare();
  }

  #readAddresses(): ReturnType<typeof gatewayAddresses> {
    const { objects, statuses } = this.#source;
    if (!statuses.some(({ listeners }) => listeners)) return new Map();
    return gatewayAddresses(objects, (service) => this.#options.provider.live(service)?.status);
  }

  /** Finds out what each status should be. Who does not write need not know. */
  #prepare(): void {
    if (!this.#started) return;
    const { provider } = this.#options;
    const addresses = this.#readAddresses();
    this.#addresses = addresses;
    const desired = new Map<string, DesiredStatus>();
    for (const kind of routeKinds) {
      for (const [object, { status }] of provider.liveOfKind(kind)) {
        if (hasOurParents(status)) desired.set(referenceKey(object), { object, parents: [] });
      }
    }
    for (const status of this.#source.statuses) {
      const { listeners, parents, ...rest } = withProgrammed(status, this.#refusals);
      const { namespace, name } = status.object;
      desired.set(referenceKey(status.object), {
        ...rest,
        ...(parents && { parents: parents.filter(({ parentRef }) => this.#isThere(parentRef, namespace)) }),
        ...(listeners && {
          listeners: this.#withKinds(listeners, provider.live(status.object)),
          addresses: addresses.get(`${namespace}/${name}`) ?? [],
        }),
      });
    }
    this.#desired = desired;
    for (const key of desired.keys()) this.#check(key);
  }

  /** A Gateway that is not there may become anybody's. */
  #isThere({ kind = 'Gateway', namespace, name }: ParentRef, home: string): boolean {
    return (
      kind !== 'Gateway' || this.#options.provider.live({ kind, namespace: namespace ?? home, name }) !== undefined
    );
  }

  #withKinds(listeners: NonNullable<ObjectStatus['listeners']>, live: LiveObject | undefined) {
    const specs = live?.object?.kind === 'Gateway' ? live.object.spec.listeners : [];
    return listeners.map((listener) => ({
      ...listener,
      supportedKinds: supportedKinds(specs.find(({ name }) => name === listener.name)),
    }));
  }

  /** Has a status written if it differs. */
  #check(key: string): void {
    const desired = this.#desired.get(key);
    const live = desired && this.#options.provider.live(desired.object);
    if (live && this.#merge(live.status, desired) !== undefined) this.#queue.add(key);
  }

  async #write(key: string): Promise<void> {
    const { api } = this.#options;
    const reference = this.#desired.get(key)?.object;
    if (!reference) return;
    const current = await api.read(this.#refOf(reference));
    // Both may have changed meanwhile.
    const desired = this.#desired.get(key);
    if (!this.#started || !current || !desired) return;
    const status = this.#merge(current.status, desired);
    if (status !== undefined) await api.replace({ ...current, status }, 'status');
  }

  #merge(current: unknown, desired: DesiredStatus): unknown {
    return mergeStatus(current, desired, this.#options.clock.wallTime());
  }

  #refOf(reference: ObjectReference) {
    const { kind, namespace, name } = reference;
    const apiVersion = this.#options.provider.live(reference)?.apiVersion ?? '';
    return { apiVersion, kind, name, namespace: namespace || undefined };
  }
}
