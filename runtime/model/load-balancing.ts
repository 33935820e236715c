import type { ObjectReference } from './reference.ts';

/** What of a request is hashed: requests that are equal in it go to the same endpoint. */
export type HashKey =
  /** Lower-case name. */
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string }
  /** A query parameter; its first value counts. */
  | { readonly kind: 'query'; readonly name: string }
  /** The caller: its SPIFFE id, or at a gateway the client's address. */
  | { readonly kind: 'source' };

/** A cookie by which a client comes back to the endpoint that answered it first. Scripts never see it (HttpOnly). */
export interface SessionCookie {
  readonly name: string;
  readonly path: string;
  /** Seconds; absent means until the client forgets its session. */
  readonly maxAge?: number;
  readonly sameSite: 'Strict' | 'Lax' | 'None';
  /** Sent back over TLS only. */
  readonly secure: boolean;
}

/** Keeps requests in the caller's zone. */
export interface ZonePreference {
  /** With fewer endpoints ready in the zone, the missing share of the requests goes to the other zones. */
  readonly minEndpoints: number;
}

/** Gives an endpoint that has just come a share that grows to a full one. */
export interface SlowStart {
  /** Milliseconds until its share is full. */
  readonly window: number;
}

interface CommonOptions {
  /** What says so; absent where nothing does. */
  readonly policy?: ObjectReference;
  /** Percent: with a smaller part of all endpoints ready, requests go to those that are not ready as well. */
  readonly panicThreshold?: number;
}

/** Each request may go to any endpoint. */
export interface SpreadingBalancer extends CommonOptions {
  /**
   * Each in turn; at random; the one of two random choices with fewer requests under way; the one of two random
   * choices with the lower expected wait, which is its peak-EWMA latency times the requests in line.
   */
  readonly kind: 'round-robin' | 'random' | 'least-request' | 'peak-ewma';
  readonly session?: SessionCookie;
  readonly preferSameZone?: ZonePreference;
  readonly slowStart?: SlowStart;
}

/** The key of a request decides, the same way in every proxy. A request without the key goes as by peak EWMA. */
export interface HashingBalancer extends CommonOptions {
  readonly kind: 'ring-hash' | 'maglev';
  readonly by: HashKey;
}

/** How one of a service's endpoints is chosen. */
export type Balancer = SpreadingBalancer | HashingBalancer;

/** Holds where no policy says otherwise. */
export const defaultBalancer: Balancer = { kind: 'peak-ewma' };
