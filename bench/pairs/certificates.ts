import 'reflect-metadata';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import {
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { CertificateAuthority, createAuthoritySvidSource } from '../../runtime/identity/authority.ts';
import type { Svid } from '../../runtime/identity/index.ts';
import { formatSpiffeId, type SpiffeId, systemClock } from '../../runtime/model/index.ts';
import type { Workspace } from '../host/workspace.ts';

const trustDomain = 'bench.local';

/** The identity of a service account of the measured mesh. */
export function benchIdentity(serviceAccount: string): SpiffeId {
  return { trustDomain, namespace: 'bench', serviceAccount };
}

/** The root of all certificates of a measurement, ours and the peers'. */
export function createAuthority(): Promise<CertificateAuthority> {
  return CertificateAuthority.create({ trustDomain, clock: systemClock });
}

/** A certificate as our sidecars get theirs. */
export async function issueSvid(authority: CertificateAuthority, id: SpiffeId): Promise<Svid> {
  const silent = { info() {}, warn() {} };
  const source = createAuthoritySvidSource({ authority, id, clock: systemClock, random: Math.random, logger: silent });
  try {
    return await source.start();
  } finally {
    source.close();
  }
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/**
 * Writes the files that the peers' configurations name: ca.crt, leaf.crt, leaf.key, and leaf.pem with both. Their leaf
 * has a DNS name besides its identity, because HAProxy verifies nothing else of a server.
 */
export async function writePeerCertificates(authority: CertificateAuthority, workspace: Workspace): Promise<void> {
  const root = new X509Certificate(authority.certificatePem);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signingKey = createPrivateKey(authority.keyPem).toCryptoKey(algorithm, false, ['sign']);
  const leaf = await X509CertificateGenerator.create({
    subject: 'CN=leaf',
    issuer: root.subjectName,
    publicKey: publicKey.toCryptoKey(algorithm, true, ['verify']),
    signingKey,
    signingAlgorithm: algorithm,
    notBefore: root.notBefore,
    extensions: [
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([
        { type: 'dns', value: 'leaf' },
        { type: 'url', value: formatSpiffeId(benchIdentity('leaf')) },
      ]),
    ],
  });
  const certificate = `${leaf.toString('pem')}\n`;
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  await Promise.all([
    writeFile(workspace.path('ca.crt'), authority.certificatePem),
    writeFile(workspace.path('leaf.crt'), certificate),
    writeFile(workspace.path('leaf.key'), key),
    writeFile(workspace.path('leaf.pem'), certificate + key),
  ]);
}
