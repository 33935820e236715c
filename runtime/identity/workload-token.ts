import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
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

/** For whom workload tokens are meant, so that a token for another service is none for us. */
const audience = 'meshwright.dev';
const algorithm = 'ES256';
/** Seconds that the issuer's clock may differ from ours. */
const skew = 20;

/** Makes an ECDSA P-256 key pair to sign and verify tokens with. */
export function createTokenKeys(): TokenKeys {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/** Issues a token shaped as Kubernetes' projected service-account tokens. `ttl` is in milliseconds. */
export function issueWorkloadToken(
  claims: WorkloadClaims,
  options: { readonly privateKeyPem: string; readonly ttl: number; readonly clock: Clock; readonly audience?: string },
): Promise<string> {
  const { namespace, serviceAccount, pod } = claims;
  const now = Math.floor(options.clock.wallTime() / 1000);
  const kubernetes = { namespace, pod: { name: pod }, serviceaccount: { name: serviceAccount } };
  return new SignJWT({ 'kubernetes.io': kubernetes })
    .setProtectedHeader({ alg: algorithm })
    .setSubject(subject(claims))
    .setAudience([options.audience ?? audience])
    .setIssuedAt(now)
    .setNotBefore(now)
    .setExpirationTime(now + Math.ceil(options.ttl / 1000))
    .sign(createPrivateKey(options.privateKeyPem));
}

/** Whom a token speaks for; rejects with {@link TokenError}. */
export async function verifyWorkloadToken(
  token: string,
  options: { readonly publicKeyPem: string; readonly clock: Clock },
): Promise<WorkloadClaims> {
  const payload = await verifiedPayload(token, options);
  const claims = payload['kubernetes.io'] as KubernetesClaims | undefined;
  const found = {
    namespace: claims?.namespace,
    serviceAccount: claims?.serviceaccount?.name,
    pod: claims?.pod?.name,
  };
  if (!isWorkload(found) || payload.sub !== subject(found)) {
    throw new TokenError('the token does not name a service account and a pod');
  }
  return found;
}

interface KubernetesClaims {
  readonly namespace?: unknown;
  readonly pod?: { readonly name?: unknown };
  readonly serviceaccount?: { readonly name?: unknown };
}

async function verifiedPayload(token: string, options: { readonly publicKeyPem: string; readonly clock: Clock }) {
  try {
    const { payload } = await jwtVerify(token, createPublicKey(options.publicKeyPem), {
      algorithms: [algorithm],
      audience,
      requiredClaims: ['exp', 'sub'],
      currentDate: new Date(options.clock.wallTime()),
      clockTolerance: skew,
    });
    return payload;
  } catch (error) {
    if (error instanceof errors.JOSEError) throw new TokenError(`the token is not accepted: ${error.message}`);
    throw error;
  }
}

function isWorkload(claims: Record<keyof WorkloadClaims, unknown>): claims is WorkloadClaims & Record<string, string> {
  return Object.values(claims).every((value) => typeof value === 'string' && value !== '');
}

function subject({ namespace, serviceAccount }: WorkloadClaims): string {
  return `system:serviceaccount:${namespace}:${serviceAccount}`;
}
