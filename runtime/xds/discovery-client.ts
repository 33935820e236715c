import type { Logger, Svid } from '../identity/index.ts';
import type { Clock, Finding, Random, Resource, ResourceKind } from '../model/index.ts';

/** One response of the controller; all of one kind. */
export interface DiscoveryUpdate {
  readonly kind: ResourceKind;
  readonly updates: readonly Resource[];
  /** Names that are subscribed and do not exist (any more), or that this proxy may not see. */
  readonly removed: readonly string[];
}

export interface DiscoveryClientOptions {
  /** `host:port` of the controller. */
  readonly address: string;
  /** What to present and to verify with; asked for at every connection. `undefined`: try later. */
  readonly credentials: () => Svid | undefined;
  /** Who this proxy says it is. `metadata` is plain JSON. */
  readonly node: { readonly id: string; readonly metadata: Readonly<Record<string, string>> };
  /** Takes an update as a whole, or refuses it as a whole by returning findings of severity `error`. */
  readonly onUpdate: (update: DiscoveryUpdate) => readonly Finding[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * A proxy's configuration stream: delta ADS over mutual TLS. Reconnects with jittered backoff and tells the controller
 * what it already has, so that only differences travel. While the controller is away nothing is forgotten.
 */
export class DiscoveryClient {
  constructor(_options: DiscoveryClientOptions) {}

  /** Connects, now and whenever the connection is lost. */
  start(): void {
    throw new Error('not built yet');
  }

  /** What is wanted of a kind from now on, in place of what was; `*` is everything this proxy may see. */
  subscribe(_kind: ResourceKind, _names: Iterable<string>): void {
    throw new Error('not built yet');
  }

  /** Whether a stream is open and the controller has answered on it. */
  get connected(): boolean {
    return false;
  }

  close(): void {
    throw new Error('not built yet');
  }
}
