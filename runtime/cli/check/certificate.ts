import { X509Certificate } from 'node:crypto';
import { error, type Problem, warning } from './check.ts';

const day = 24 * 60 * 60 * 1000;
const soon = 30 * day;
const atOnce = 7 * day;

/** The certificates of a PEM text, in its order; none where it holds none. */
export function certificatesOf(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

/** What is wrong with how long certificates last, of which one must be valid. */
export function expiryOf(
  certificates: readonly X509Certificate[],
  what: string,
  hint: string,
  now: number,
): Problem | undefined {
  const last = certificates.toSorted((a, b) => b.validToDate.getTime() - a.validToDate.getTime())[0];
  if (!last) return error(`${what} holds no certificate`, hint);
  const left = last.validToDate.getTime() - now;
  if (left >= soon) return undefined;
  const when = last.validToDate.toISOString();
  if (left <= 0) return error(`${what} expired at ${when}`, hint);
  const message = `${what} expires at ${when}, in ${Math.floor(left / day)} days`;
  return left < atOnce ? error(message, hint) : warning(message, hint);
}

/** Whether a chain, the leaf first, leads to one of the roots. */
export function leadsTo(chain: readonly X509Certificate[], roots: readonly X509Certificate[]): boolean {
  const last = chain.at(-1);
  return (
    last !== undefined &&
    chain.slice(1).every((issuer, index) => isIssuedBy(chain[index], issuer)) &&
    roots.some((root) => root.fingerprint256 === last.fingerprint256 || isIssuedBy(last, root))
  );
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
