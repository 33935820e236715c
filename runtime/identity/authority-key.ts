import { createPrivateKey, type KeyObject, type webcrypto } from 'node:crypto';
import { type Finding, finding } from '../model/index.ts';

/** A private key that signs certificates, and how. */
export interface SigningKey {
  readonly key: KeyObject;
  readonly algorithm: webcrypto.EcKeyImportParams & webcrypto.RsaHashedImportParams;
}

/** By Node's names of the curves. */
const curves: Readonly<Record<string, { readonly namedCurve: string; readonly hash: string }>> = {
  prime256v1: { namedCurve: 'P-256', hash: 'SHA-256' },
  secp384r1: { namedCurve: 'P-384', hash: 'SHA-384' },
};

/** The shortest RSA key that TLS of today believes. */
export const minRsaBits = 2048;

/** Reads a key of PKCS #8, PKCS #1 or SEC 1; no message of it ever holds what it read. */
export function readSigningKey(pem: string, source: string): SigningKey | Finding {
  const refuse = (message: string, hint: string) => finding('MW1603', { object: source, message, hint });
  if (/^-----BEGIN ENCRYPTED PRIVATE KEY|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    return refuse('the private key is encrypted', 'store it without a passphrase: openssl pkey -in key.pem');
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(privateKeyBlock(pem));
  } catch {
    return refuse('the private key cannot be read', 'store it as PEM: PKCS #8, PKCS #1 or SEC 1');
  }
  const { namedCurve = '', modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= minRsaBits) {
    return { key, algorithm: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } as SigningKey['algorithm'] };
  }
  if (key.asymmetricKeyType === 'ec' && namedCurve in curves) {
    return { key, algorithm: { name: 'ECDSA', ...curves[namedCurve] } };
  }
  const size = modulusLength ? ` of ${modulusLength} bits` : '';
  return refuse(
    `the private key is ${key.asymmetricKeyType}${namedCurve ? ` on ${namedCurve}` : ''}${size}`,
    `use ECDSA on P-256 or P-384, or RSA of at least ${minRsaBits} bits`,
  );
}

/** Without what OpenSSL writes before a key, such as the parameters of its curve. */
function privateKeyBlock(pem: string): string {
  return pem.match(/-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]+?-----END \1-----/)?.[0] ?? pem;
}
