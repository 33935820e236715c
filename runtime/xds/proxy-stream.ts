import type { Clock, ResourceKind, SpiffeId } from '../model/index.ts';
import type { DiscoveryCache, DiscoveryChange } from './discovery-cache.ts';
import type { DeltaDiscoveryRequest } from './gen/envoy/service/discovery/v3/discovery_pb.js';
import type { ProxyStatus } from './proxy-status.ts';
import { kindOfTypeUrl, kindsInOrder } from './resource-types.ts';
import { type DeltaResponse, Subscription, SubscriptionError } from './subscription.ts';

export interface ProxyStreamOptions {
  readonly identity: SpiffeId;
  readonly cache: DiscoveryCache;
  readonly authorize: (identity: SpiffeId, kind: ResourceKind, name: string) => boolean;
  readonly clock: Clock;
}

/** One proxy's discovery stream: its subscriptions, and what is to be sent next. */
export class ProxyStream {
  readonly #options: ProxyStreamOptions;
  readonly #connectedAt: number;
  readonly #subscriptions = new Map<ResourceKind, Subscription>();
  #node: { readonly id: string; readonly metadata: Readonly<Record<string, string>> } | undefined;
  #nonces = 0;
  #wake: (() => void) | undefined;
  #end: { readonly error?: Error } | undefined;

  constructor(options: ProxyStreamOptions) {
    this.#options = options;
    this.#connectedAt = options.clock.wallTime();
  }

  receive(request: DeltaDiscoveryRequest): void {
    this.#node ??= nodeOf(request);
    const kind = kindOfTypeUrl(request.typeUrl);
    // A newer proxy may know kinds that we do not.
    if (!kind) return;
    const subscription = this.#subscriptions.get(kind);
    if (subscription) subscription.update(request);
    else this.#open(kind, request);
    this.#wake?.();
  }

  noteChange(change: DiscoveryChange): void {
    for (const [kind, names] of change) this.#subscriptions.get(kind)?.noteChange(names);
    this.#wake?.();
  }

  /** Asks anew what the proxy may see. */
  review(): void {
    for (const subscription of this.#subscriptions.values()) subscription.review();
    this.#wake?.();
  }

  /** Ends the stream after the response that is being written; with an error the proxy is told. */
  end(error?: Error): void {
    this.#end ??= { error };
    this.#wake?.();
  }

  /** The responses. Each is made when the transport takes it, so what changes meanwhile is left out or merged. */
  async *responses(): AsyncGenerator<DeltaResponse> {
    while (!this.#end) {
      const response = this.#next();
      if (response) yield response;
      else await this.#woken();
    }
    if (this.#end.error) throw this.#end.error;
  }

  /** `undefined` before the proxy has said who it is. */
  status(): ProxyStatus | undefined {
    if (!this.#node) return undefined;
    const subscriptions = [...this.#subscriptions].map(
      ([kind, subscription]) => [kind, subscription.status()] as const,
    );
    return {
      ...this.#node,
      identity: this.#options.identity,
      connectedAt: this.#connectedAt,
      subscriptions: Object.fromEntries(subscriptions),
    };
  }

  #open(kind: ResourceKind, request: DeltaDiscoveryRequest): void {
    const { identity, cache, authorize } = this.#options;
    const subscription = new Subscription(kind, cache, (name) => authorize(identity, kind, name));
    subscription.open(request);
    this.#subscriptions.set(kind, subscription);
  }

  /**
   * Make before break: what is new travels in the order of the kinds, what is gone in the opposite order after it. A
   * kind whose last response is not answered yet holds back what comes after it.
   */
  #next(): DeltaResponse | undefined {
    const nonce = () => String(++this.#nonces);
    const subscriptions = kindsInOrder
      .map((kind) => this.#subscriptions.get(kind))
      .filter((each) => each !== undefined);
    for (const subscription of subscriptions) {
      if (subscription.blocked) return undefined;
      const response = subscription.next('updates', nonce);
      if (response) return response;
    }
    for (const subscription of subscriptions.reverse()) {
      const response = subscription.next('removals', nonce);
      if (response) return response;
    }
    return undefined;
  }

  #woken(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    return promise;
  }
}

function nodeOf(request: DeltaDiscoveryRequest): { id: string; metadata: Readonly<Record<string, string>> } {
  const { id, metadata } = request.node ?? {};
  if (!id) throw new SubscriptionError('the first request does not say which node it is from');
  const texts = Object.entries(metadata ?? {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return { id, metadata: Object.fromEntries(texts) };
}
