import { X509Certificate } from 'node:crypto';
import { error, type Problem, warning } from './check.ts';

const day = 24 * 60 * 60 * 1000;
/** How much of a certificate's life must be left, and how long at most: certificates that live for days are renewed late. */
const soon = { part: 0.15, longest: 30 * day };
const atOnce = { part: 0.05, longest: 7 * day };

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
  const life = last.validToDate.getTime() - last.validFromDate.getTime();
  const left = last.validToDate.getTime() - now;
  const isBelow = ({ part, longest }: typeof soon) => left < Math.min(part * life, longest);
  if (!isBelow(soon)) return undefined;
  const when = last.validToDate.toISOString();
  if (left <= 0) return error(`${what} expired at ${when}`, hint);
  const message = `${what} expires at ${when}, in ${(left / day).toFixed(1)} days`;
  return isBelow(atOnce) ? error(message, hint) : warning(message, hint);
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
