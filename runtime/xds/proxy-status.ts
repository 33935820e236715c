import type { ResourceKind, SpiffeId } from '../model/index.ts';

/** What a connected proxy has of one kind. */
export interface SubscriptionStatus {
  readonly subscribed: readonly string[];
  /** Versions the proxy has accepted, by resource name. */
  readonly acknowledged: Readonly<Record<string, string>>;
  /** What it was sent and has refused, by resource name. */
  readonly rejected: Readonly<Record<string, Rejection>>;
  /** Subscribed names it may not see. */
  readonly refused: readonly string[];
}

/** A proxy does not take a resource, and goes on with the one before. */
export interface Rejection {
  readonly version: string;
  readonly reason: string;
}

/** A connected proxy. */
export interface ProxyStatus {
  /** What it calls itself: `reviews-v1-0.shop`. */
  readonly id: string;
  /** What its certificate proves. */
  readonly identity: SpiffeId;
  readonly metadata: Readonly<Record<string, string>>;
  /** Wall-clock milliseconds. */
  readonly connectedAt: number;
  readonly subscriptions: Readonly<Partial<Record<ResourceKind, SubscriptionStatus>>>;
}
