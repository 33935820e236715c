import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ResourceKind } from '../model/index.ts';
import type { DiscoveryCache } from './discovery-cache.ts';
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponseSchema,
  Resource,
} from './gen/envoy/service/discovery/v3/discovery_pb.js';
import type { Status } from './gen/google/rpc/status_pb.js';
import type { Rejection, SubscriptionStatus } from './proxy-status.ts';
import { decodeRefused } from './refused-resources.ts';
import { typeUrl } from './resource-types.ts';

export type DeltaResponse = MessageInitShape<typeof DeltaDiscoveryResponseSchema>;

/** Bytes of payload after which the rest waits for the next response. */
const responseSize = 1 << 20;
/** The version of what is not there. */
const absent = '';
const wildcard = '*';

/** A proxy sent something that no correct client sends. */
export class SubscriptionError extends Error {
  override readonly name = 'SubscriptionError';
}

const maxNames = 50_000;
const maxNameLength = 512;

interface SentResponse {
  readonly nonce: string;
  /** What it said, by name. */
  readonly versions: Map<string, string>;
}

/** What one proxy wants of one kind, what it has, and what it has to be told: the server's half of delta xDS. */
export class Subscription {
  readonly #kind: ResourceKind;
  readonly #cache: DiscoveryCache;
  readonly #maySee: (name: string) => boolean;
  readonly #names = new Set<string>();
  #wildcard = false;
  readonly #acknowledged = new Map<string, string>();
  readonly #rejected = new Map<string, Rejection>();
  /** Names to look at again. */
  readonly #due = new Set<string>();
  /** At most one response waits for its answer, so a slow proxy costs no memory: later changes only mark names. */
  #sent: SentResponse | undefined;
  /** The first request gets an answer even where there is nothing to say: it proves that the stream works. */
  #answerOwed = true;

  constructor(kind: ResourceKind, cache: DiscoveryCache, maySee: (name: string) => boolean) {
    this.#kind = kind;
    this.#cache = cache;
    this.#maySee = maySee;
  }

  /** Takes the first request of a stream for this kind, which also says what the proxy still has. */
  open(request: DeltaDiscoveryRequest): void {
    const { resourceNamesSubscribe: names, initialResourceVersions } = request;
    this.#subscribe(names.length > 0 ? names : [wildcard]);
    for (const [name, version] of Object.entries(initialResourceVersions)) {
      if (!this.#covers(name)) continue;
      this.#acknowledged.set(name, version);
      this.#due.add(name);
    }
  }

  /** Takes any later request: an answer to a response, a change of the subscription, or both. */
  update(request: DeltaDiscoveryRequest): void {
    if (this.#sent && request.responseNonce === this.#sent.nonce) this.#settle(this.#sent, request.errorDetail);
    this.#unsubscribe(request.resourceNamesUnsubscribe);
    this.#subscribe(request.resourceNamesSubscribe);
  }

  noteChange(names: readonly string[]): void {
    for (const name of names) if (this.#covers(name)) this.#due.add(name);
  }

  /** Looks at everything again. */
  review(): void {
    for (const name of this.#names) this.#due.add(name);
    for (const name of this.#acknowledged.keys()) this.#due.add(name);
    if (this.#wildcard) for (const name of this.#cache.names(this.#kind)) this.#due.add(name);
  }

  /** Whether there is something to look at that has to wait until the proxy has answered. */
  get blocked(): boolean {
    return this.#sent !== undefined && this.#due.size > 0;
  }

  /** The next response, if one is due: what is new or different, or else what the proxy has and must drop. Not while blocked. */
  next(part: 'updates' | 'removals', nonce: () => string): DeltaResponse | undefined {
    const resources: Resource[] = [];
    const versions = new Map<string, string>();
    let size = 0;
    for (const name of this.#due) {
      if (size > responseSize) break;
      const told = this.#rejected.get(name)?.version ?? this.#acknowledged.get(name);
      const resource = this.#maySee(name) ? this.#cache.get(this.#kind, name) : undefined;
      const version = resource?.version ?? absent;
      if (part === 'updates' && version === absent && told) continue;
      this.#due.delete(name);
      // Who asked by name hears that it is absent; a wildcard only of what it had.
      if (version === told || (version === absent && told === undefined && !this.#names.has(name))) continue;
      versions.set(name, version);
      if (!resource) continue;
      resources.push(resource.message);
      size += resource.size;
    }
    if (versions.size === 0 && !this.#answerOwed) return undefined;
    this.#answerOwed = false;
    this.#sent = { nonce: nonce(), versions };
    const removedResources = [...versions].filter(([, version]) => version === absent).map(([name]) => name);
    return { typeUrl: typeUrl(this.#kind), nonce: this.#sent.nonce, resources, removedResources };
  }

  status(): SubscriptionStatus {
    return {
      subscribed: [...(this.#wildcard ? [wildcard] : []), ...this.#names],
      acknowledged: Object.fromEntries([...this.#acknowledged].filter(([, version]) => version !== absent)),
      rejected: Object.fromEntries([...this.#rejected].filter(([, { version }]) => version !== absent)),
      refused: [...this.#names].filter((name) => !this.#maySee(name)),
    };
  }

  #covers(name: string): boolean {
    return this.#wildcard || this.#names.has(name);
  }

  #subscribe(names: readonly string[]): void {
    for (const name of names) {
      if (name === wildcard) {
        this.#wildcard = true;
        for (const existing of this.#cache.names(this.#kind)) this.#due.add(existing);
        continue;
      }
      if (name.length > maxNameLength) throw new SubscriptionError(`a name of ${name.length} characters`);
      this.#names.add(name);
      // It may have dropped what it had and want it again.
      this.#forget(name);
      this.#due.add(name);
    }
    if (this.#names.size > maxNames) throw new SubscriptionError(`more than ${maxNames} names of ${this.#kind}`);
  }

  #unsubscribe(names: readonly string[]): void {
    for (const name of names) {
      if (name === wildcard) this.#wildcard = false;
      this.#names.delete(name);
      this.#forget(name);
      if (this.#wildcard) this.#due.add(name);
    }
    if (!names.includes(wildcard)) return;
    for (const name of this.#acknowledged.keys()) if (!this.#names.has(name)) this.#forget(name);
    for (const name of this.#due) if (!this.#names.has(name)) this.#due.delete(name);
  }

  #forget(name: string): void {
    this.#acknowledged.delete(name);
    this.#rejected.delete(name);
    this.#sent?.versions.delete(name);
  }

  /** The proxy took what was sent, or said what it did not and why. What it refused is not sent again until it changes. */
  #settle({ versions }: SentResponse, error: Status | undefined): void {
    this.#sent = undefined;
    const refused = error && decodeRefused(this.#kind, error.details);
    for (const [name, version] of versions) {
      if (error && (refused?.size === 0 || refused?.has(name))) {
        this.#rejected.set(name, { version, reason: refused.get(name) || error.message });
        continue;
      }
      this.#rejected.delete(name);
      if (version !== absent || this.#names.has(name)) this.#acknowledged.set(name, version);
      else this.#acknowledged.delete(name);
    }
  }
}
