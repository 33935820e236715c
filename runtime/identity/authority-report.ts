import { type Finding, finding } from '../model/index.ts';
import { type AuthorityCertificate, type AuthorityChain, readAuthorityChain } from './authority-chain.ts';
import type { AuthorityFiles, Rotation } from './authority-files.ts';
import { svidLifetime } from './svid.ts';

/** A certificate for people and metrics. */
export interface CertificateDescription {
  readonly subject: string;
  /** Wall-clock milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** SHA-256 of the certificate: hexadecimal octets with colons. */
  readonly fingerprint: string;
}

/** An authority without its secrets. */
export interface AuthorityDescription {
  /** `undefined`: neither the certificates nor who asked named one. */
  readonly trustDomain: string | undefined;
  /** Who signs SVIDs now: a root, or an intermediate. */
  readonly issuer: CertificateDescription;
  /** Those between it and the root. */
  readonly intermediates: readonly CertificateDescription[];
  /** The root they lead to. */
  readonly root: CertificateDescription;
  /** All roots that are believed. */
  readonly roots: readonly CertificateDescription[];
  readonly phase: 'steady' | Rotation['phase'];
  /** When the phase began; `undefined` while steady. */
  readonly phaseSince?: number;
}

const day = 24 * 60 * 60 * 1000;
/** Warnings begin when less than this part of a certificate's life is left… */
const warningPart = 0.15;
/** …but never earlier than so many milliseconds before its end. */
const longestWarning = 90 * day;

export function describeChain(chain: AuthorityChain, rotation?: Rotation): AuthorityDescription {
  return {
    trustDomain: chain.trustDomain,
    issuer: describe(chain.issuer),
    intermediates: chain.intermediates.slice(1).map(describe),
    root: describe(chain.path.at(-1)!),
    roots: chain.roots.map(describe),
    phase: rotation?.phase ?? 'steady',
    ...(rotation && { phaseSince: rotation.since }),
  };
}

function describe({ subject, notBefore, notAfter, native }: AuthorityCertificate): CertificateDescription {
  return { subject, notBefore, notAfter, fingerprint: native.fingerprint256 };
}

/** What is wrong, or will soon be, with the validity of an authority's certificates. */
export function validityFindings(
  chain: AuthorityChain,
  options: { readonly now: number; readonly source: string },
): readonly Finding[] {
  return chain.path.flatMap((certificate) => validityFinding(certificate, options));
}

function validityFinding(
  { subject, notBefore, notAfter }: AuthorityCertificate,
  { now, source }: { readonly now: number; readonly source: string },
): Finding[] {
  const end = new Date(notAfter).toISOString();
  const hint =
    'roots of Meshwright renew themselves while a controller runs; renew an authority of your own: it is taken up within a minute';
  if (now >= notAfter) {
    return [finding('MW1607', { object: source, message: `${subject} expired on ${end}: nothing is signed`, hint })];
  }
  if (now < notBefore) {
    const message = `${subject} is not valid before ${new Date(notBefore).toISOString()}: nothing is signed`;
    return [
      finding('MW1607', { object: source, message, hint: 'compare the clocks of who made it and of this machine' }),
    ];
  }
  if (notAfter - now > Math.min((notAfter - notBefore) * warningPart, longestWarning)) return [];
  const shorter = notAfter - now < svidLifetime ? '; certificates of workloads get shorter already' : '';
  return [finding('MW1608', { object: source, message: `${subject} expires on ${end}${shorter}`, hint })];
}

/** Describes an authority and tells what is wrong with it. Throws a `FindingsError` where it cannot be used at all. */
export function inspectAuthority(
  files: AuthorityFiles,
  options: {
    /** @default - what the certificates say */
    readonly trustDomain?: string;
    /** Wall-clock milliseconds. */
    readonly now: number;
    /** What findings call the place the files come from. */
    readonly source: string;
  },
): { readonly description: AuthorityDescription; readonly findings: readonly Finding[] } {
  const chain = readAuthorityChain(files, options);
  return { description: describeChain(chain, files.rotation), findings: validityFindings(chain, options) };
}
