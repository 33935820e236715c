import type { PathMatch } from './http.ts';
import type { ObjectReference } from './reference.ts';

/** Who calls, as proven by its certificate. */
export type PrincipalMatch =
  | { readonly kind: 'service-account'; readonly namespace: string; readonly name: string }
  | { readonly kind: 'namespace'; readonly namespace: string }
  /** Any caller with an identity of this mesh. */
  | { readonly kind: 'authenticated' };

/** What is called. An empty list does not restrict. On a TCP port an `allow` with either list never matches. */
export interface OperationMatch {
  readonly methods: readonly string[];
  readonly paths: readonly PathMatch[];
}

export interface AccessRule {
  readonly name: string;
  readonly action: 'allow' | 'deny';
  /** Alternatives; empty means everyone, also callers without identity. */
  readonly from: readonly PrincipalMatch[];
  /** Alternatives; empty means every operation. */
  readonly to: readonly OperationMatch[];
}

/**
 * Who may call a workload. A matching `deny` wins; else, where any `allow` rule exists for the port, a request needs
 * a matching one; else it is allowed.
 */
export interface AccessPolicy {
  readonly policy: ObjectReference;
  /** Container ports it holds for; absent means all. */
  readonly ports?: readonly number[];
  readonly rules: readonly AccessRule[];
}
