import 'reflect-metadata';
import * as crypto from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
} from '@peculiar/x509';
import { type Finding, FindingsError, finding } from '../model/index.ts';
import type { AuthorityFiles } from './authority-files.ts';
import { minRsaBits, readSigningKey, type SigningKey } from './authority-key.ts';
import { isIssuedBy, splitPem } from './pem-chain.ts';

/** A certificate of an authority. */
export interface AuthorityCertificate {
  readonly pem: string;
  /** One line, for people. */
  readonly subject: string;
  /** Wall-clock milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly certificate: X509Certificate;
  readonly native: crypto.X509Certificate;
}

/** An authority whose parts fit each other. Whether it is valid now is not part of that. */
export interface AuthorityChain {
  /** `undefined`: nobody has named one. */
  readonly trustDomain: string | undefined;
  readonly key: SigningKey;
  readonly issuer: AuthorityCertificate;
  /** What a leaf has to bring along, the issuer first; empty where a root signs itself. */
  readonly intermediates: readonly AuthorityCertificate[];
  /** What is believed. */
  readonly roots: readonly AuthorityCertificate[];
  /** Everything a new leaf depends on: issuer, intermediates and the root they lead to. */
  readonly path: readonly AuthorityCertificate[];
}

export interface ReadOptions {
  /** What the mesh is called. @default - what the certificates say */
  readonly trustDomain?: string;
  /** What findings call the place the files come from. */
  readonly source: string;
}

const maxCertificates = 32;
const anyPurpose = '2.5.29.37.0';
const weakHashes = ['SHA-1', 'MD5'];

/**
 * Reads an authority and checks all that a peer will check of it. Throws a {@link FindingsError}.
 *
 * Rules are those of RFC 5280 sections 4.2.1 and 6.1, and of SPIFFE's X509-SVID sections 3 and 4.
 */
export function readAuthorityChain(files: AuthorityFiles, options: ReadOptions): AuthorityChain {
  const { source } = options;
  const chain = readCertificates(files.certificatePem, 'certificate that signs', source);
  const given =
    files.rootPem === undefined
      ? { certificates: chain.certificates.filter(isSelfSigned), problems: [] }
      : readCertificates(files.rootPem, 'root', source);
  const key = readSigningKey(files.keyPem, source);
  const problems = [...('key' in key ? [] : [key]), ...chain.problems, ...given.problems];
  if (problems.length > 0 || !('key' in key)) throw new FindingsError(problems);

  const [issuer] = chain.certificates;
  const roots = given.certificates;
  const between = isSelfSigned(issuer) ? [] : chain.certificates.filter((certificate) => !isSelfSigned(certificate));
  const root = roots
    .filter(({ native }) => (between.length > 0 ? isIssuedBy(between.at(-1)!.native, native) : isSame(native, issuer)))
    .toSorted((one, other) => other.notAfter - one.notAfter)
    .at(0);
  const path = root ? [...between, root] : between;
  const found = [
    ...checkKey(issuer, key, source),
    ...checkLinks(between, root, issuer, source),
    ...roots.filter((certificate) => !isSelfSigned(certificate)).map((certificate) => notRoot(certificate, source)),
    ...path.flatMap((certificate, below) => checkCertificate(certificate, below, source)),
  ];
  const domain = checkTrustDomain(path, options);
  if (typeof domain === 'object') found.push(domain);
  if (found.length > 0 || typeof domain === 'object') throw new FindingsError(found);
  return { trustDomain: domain, key, issuer, intermediates: between, roots, path };
}

interface Certificates {
  readonly certificates: readonly AuthorityCertificate[];
  readonly problems: readonly Finding[];
}

function readCertificates(text: string, what: string, source: string): Certificates {
  const blocks = splitPem(text);
  const refuse = (message: string, hint: string): Certificates => ({
    certificates: [],
    problems: [finding('MW1602', { object: source, message, hint })],
  });
  if (blocks.length === 0) return refuse(`there is no PEM of a ${what}`, 'store certificates as PEM');
  if (blocks.length > maxCertificates) {
    return refuse(`there are ${blocks.length} certificates, at most ${maxCertificates} are read`, 'keep what is used');
  }
  try {
    const read = new Map(blocks.map(readCertificate).map((one) => [one.native.fingerprint256, one]));
    return { certificates: [...read.values()], problems: [] };
  } catch {
    return refuse(`the PEM of a ${what} cannot be read`, 'store it again; openssl x509 -text shows what is in it');
  }
}

/** Throws where there is anything that later checks could not read. */
function readCertificate(pem: string): AuthorityCertificate {
  const native = new crypto.X509Certificate(pem);
  if (!native.publicKey.asymmetricKeyType) throw new Error('a key of no known kind');
  return {
    pem: native.toString(),
    subject: (native.subject ?? '').replaceAll('\n', ', '),
    notBefore: native.validFromDate.getTime(),
    notAfter: native.validToDate.getTime(),
    certificate: new X509Certificate(pem),
    native,
  };
}

function isSelfSigned({ native }: AuthorityCertificate): boolean {
  return native.checkIssued(native) && native.verify(native.publicKey);
}

function isSame(native: crypto.X509Certificate, other: AuthorityCertificate): boolean {
  return native.raw.equals(other.native.raw);
}

function checkKey(issuer: AuthorityCertificate, { key }: SigningKey, source: string): Finding[] {
  if (issuer.native.checkPrivateKey(key)) return [];
  const message = `the certificate of ${issuer.subject} and the private key do not belong together`;
  return [finding('MW1603', { object: source, message, hint: 'store the key that the certificate was made for' })];
}

/** Whether each is signed by the next, and the last one by a root. */
function checkLinks(
  between: readonly AuthorityCertificate[],
  root: AuthorityCertificate | undefined,
  issuer: AuthorityCertificate,
  source: string,
): Finding[] {
  const broken = between.findIndex((one, index) => index > 0 && !isIssuedBy(between[index - 1].native, one.native));
  if (broken > 0) {
    const message = `${between[broken - 1].subject} is not signed by ${between[broken].subject}, which follows it`;
    return [finding('MW1605', { object: source, message, hint: 'order them: who signs first, then who signed that' })];
  }
  if (root) return [];
  const message = `no root signed ${(between.at(-1) ?? issuer).subject}`;
  const hint = 'put the root into ca.crt, and what is between it and the certificate that signs into tls.crt';
  return [finding('MW1605', { object: source, message, hint })];
}

function notRoot({ subject }: AuthorityCertificate, source: string): Finding {
  const message = `${subject} is given as a root, but somebody else signed it`;
  return finding('MW1605', { object: source, message, hint: 'put certificates between the two into tls.crt' });
}

/** What a peer would refuse of a certificate with `below` others between it and a leaf. */
function checkCertificate(
  { certificate, native, subject }: AuthorityCertificate,
  below: number,
  source: string,
): Finding[] {
  const constraints = certificate.getExtension(BasicConstraintsExtension);
  const usages = certificate.getExtension(KeyUsagesExtension)?.usages;
  const purposes = certificate.getExtension(ExtendedKeyUsageExtension)?.usages.map(String);
  const { asymmetricKeyType, asymmetricKeyDetails } = native.publicKey;
  const refuse = (message: string, hint: string) => [finding('MW1604', { object: source, message, hint })];
  if (!constraints?.ca) {
    return refuse(`${subject} is no certificate authority`, 'have one made with CA:true (cert-manager: isCA: true)');
  }
  if (usages !== undefined && !(usages & KeyUsageFlags.keyCertSign)) {
    return refuse(`the key of ${subject} is not for certificates`, 'have it made with the usage keyCertSign');
  }
  if (constraints.pathLength !== undefined && constraints.pathLength < below) {
    return refuse(
      `${subject} allows ${constraints.pathLength} certificate authorities below it, there are ${below}`,
      'have it made with a greater path length, or sign with one that is nearer to it',
    );
  }
  const needed = [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth].map(String);
  if (purposes && !purposes.includes(anyPurpose) && !needed.every((purpose) => purposes.includes(purpose))) {
    return refuse(
      `${subject} may not certify both clients and servers`,
      'have it made without extended key usages, or with serverAuth and clientAuth',
    );
  }
  if (asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) < minRsaBits) {
    return refuse(`the RSA key of ${subject} is shorter than ${minRsaBits} bits`, 'have one made with a longer key');
  }
  const { hash } = certificate.signatureAlgorithm as { readonly hash?: { readonly name: string } };
  if (hash && weakHashes.includes(hash.name) && !native.checkIssued(native)) {
    return refuse(`${subject} is signed with ${hash.name}`, 'have it signed with SHA-256 or better');
  }
  return [];
}

/** The trust domain the certificates name; it has to be the mesh's. */
function checkTrustDomain(path: readonly AuthorityCertificate[], options: ReadOptions): string | undefined | Finding {
  const { trustDomain, source } = options;
  for (const { certificate, subject } of path) {
    const names = certificate.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
    const ids = names.flatMap(({ type, value }) => (type === 'url' && value.startsWith('spiffe://') ? [value] : []));
    if (ids.length === 0) continue;
    const named = ids.map((id) => id.slice('spiffe://'.length).split('/')[0]);
    if (trustDomain === undefined && named.length === 1) return named[0];
    if (trustDomain === undefined || named.some((name) => name !== trustDomain)) {
      return finding('MW1606', {
        object: source,
        message: `${subject} is of the trust domain ${named.join(' and ')}, the mesh of ${trustDomain ?? 'one'}`,
        hint: 'name that trust domain in the Mesh object, or give an authority of this one',
      });
    }
  }
  return trustDomain;
}
