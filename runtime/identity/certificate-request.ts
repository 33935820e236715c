import { generateKeyPairSync, sign } from 'node:crypto';
import { bitString, contextTag, integer, objectIdentifier, pem, sequence } from './der.ts';

/** A new private key and the request for a certificate of its public half. */
export interface CertificateRequest {
  /** PKCS #8 PEM. */
  readonly key: string;
  /** PKCS #10 PEM. */
  readonly csrPem: string;
}

const ecdsaWithSha256 = '1.2.840.10045.4.3.2';

/** Makes an ECDSA P-256 key and its request. The request names nobody: the authority knows from the token who asks. */
export function createCertificateRequest(): CertificateRequest {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const version = integer(0);
  const subject = sequence();
  const attributes = contextTag(0);
  const info = sequence(version, subject, publicKey.export({ type: 'spki', format: 'der' }), attributes);
  const request = sequence(
    info,
    sequence(objectIdentifier(ecdsaWithSha256)),
    bitString(sign('sha256', info, privateKey)),
  );
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    csrPem: pem('CERTIFICATE REQUEST', request),
  };
}
