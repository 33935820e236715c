import type { Clock } from '../model/index.ts';

/** Whom a workload token speaks for. */
export interface WorkloadClaims {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly pod: string;
}

/** The keys of a token issuer, as PEM. */
export interface TokenKeys {
  readonly privateKeyPem: string;
  readonly publicKeyPem: string;
}

/** A token that does not prove anything: wrong signature, audience or shape, or expired. */
export class TokenError extends Error {
  override readonly name = 'TokenError';
}

/** Makes an ECDSA P-256 key pair to sign and verify tokens with. */
export function createTokenKeys(): TokenKeys {
  throw new Error('not built yet');
}

/** Issues a token shaped as Kubernetes' projected service-account tokens. `ttl` is in milliseconds. */
export function issueWorkloadToken(
  _claims: WorkloadClaims,
  _options: { readonly privateKeyPem: string; readonly ttl: number; readonly clock: Clock },
): Promise<string> {
  throw new Error('not built yet');
}

/** Whom a token speaks for; rejects with {@link TokenError}. */
export function verifyWorkloadToken(
  _token: string,
  _options: { readonly publicKeyPem: string; readonly clock: Clock },
): Promise<WorkloadClaims> {
  throw new Error('not built yet');
}
