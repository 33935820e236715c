import { execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, type webcrypto, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { beforeAll, expect, test } from '@jest/globals';
import 'reflect-metadata';
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from '@peculiar/x509';
import { CertificateAuthority } from '../../runtime/identity/authority.ts';
import { createCertificateRequest } from '../../runtime/identity/certificate-request.ts';
import { verifyPeerIdentity } from '../../runtime/identity/index.ts';
import { systemClock } from '../../runtime/model/index.ts';
import { trustDomain, workload } from './control-plane.ts';

let authority: CertificateAuthority;
beforeAll(async () => {
  authority = await CertificateAuthority.create({ trustDomain, clock: systemClock });
});

/** A request made with another library, naming whom it likes. */
async function foreignRequest(
  algorithm: webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams,
  names: string[] = [],
) {
  const keys = await crypto.subtle.generateKey(algorithm as webcrypto.EcKeyGenParams, true, ['sign', 'verify']);
  const csr = await Pkcs10CertificateRequestGenerator.create({
    name: 'CN=admin',
    keys: keys as webcrypto.CryptoKeyPair,
    signingAlgorithm: algorithm,
    extensions: [new SubjectAlternativeNameExtension(names.map((value) => ({ type: 'url', value })))],
  });
  return csr.toString('pem');
}

const p256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

test('openssl accepts the request, the certificate and its purposes', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'meshwright-test-'));
  try {
    const { csrPem } = createCertificateRequest();
    const { chainPem, bundlePem } = await authority.sign(csrPem, workload('reviews'));
    const file = (name: string, content: string) => {
      writeFileSync(join(directory, name), content);
      return join(directory, name);
    };
    const openssl = (...args: string[]) =>
      execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const leaf = file('leaf.pem', chainPem);
    const root = file('root.pem', bundlePem);
    openssl('req', '-in', file('request.pem', csrPem), '-noout', '-verify');
    for (const purpose of ['sslserver', 'sslclient']) {
      expect(openssl('verify', '-x509_strict', '-purpose', purpose, '-CAfile', root, leaf)).toMatch('OK');
    }
    const text = openssl('x509', '-in', leaf, '-noout', '-text');
    expect(text).toMatch(/Subject Alternative Name: critical\n\s+URI:spiffe:\/\/shop.local\/ns\/shop\/sa\/reviews\n/);
    expect(text).toMatch(/Key Usage: critical\n\s+Digital Signature\n/);
    expect(text).toMatch(/Basic Constraints: critical\n\s+CA:FALSE\n/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('two workloads verify each other over TLS 1.3', async () => {
  const credentials = async (name: string) => {
    const { key, csrPem } = createCertificateRequest();
    const { chainPem, bundlePem } = await authority.sign(csrPem, workload(name));
    return { key, cert: chainPem, ca: bundlePem, minVersion: 'TLSv1.3' as const };
  };
  const server = createServer({ ...(await credentials('reviews')), requestCert: true, rejectUnauthorized: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const accepted = new Promise<TLSSocket>((resolve) => server.once('secureConnection', resolve));
  const checkServerIdentity = () => undefined;
  const client = connect({ ...(await credentials('front')), port, host: '127.0.0.1', checkServerIdentity });
  const seen = (socket: TLSSocket) => verifyPeerIdentity(socket.getPeerX509Certificate()?.subjectAltName, trustDomain);
  expect(seen(await accepted)).toEqual(workload('front'));
  expect(seen(client)).toEqual(workload('reviews'));
  client.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test('names in the request are ignored: the certificate is for who the caller proved to be', async () => {
  const csr = await foreignRequest(p256, [
    'spiffe://shop.local/ns/shop/sa/admin',
    'spiffe://shop.local/ns/shop/sa/reviews',
  ]);
  const { chainPem } = await authority.sign(csr, workload('ratings'));
  const leaf = new X509Certificate(chainPem);
  expect(leaf.subjectAltName).toBe('URI:spiffe://shop.local/ns/shop/sa/ratings');
  expect(leaf.subject).toBeFalsy();
});

test('a request that its own key did not sign is refused', async () => {
  const der = Buffer.from(createCertificateRequest().csrPem.replace(/-----.*-----|\n/g, ''), 'base64');
  const other = Buffer.from(createCertificateRequest().csrPem.replace(/-----.*-----|\n/g, ''), 'base64');
  const keyAt = der.indexOf(Buffer.from('03420004', 'hex'));
  other.copy(der, keyAt, keyAt, keyAt + 68);
  const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  await expect(authority.sign(forged, workload('reviews'))).rejects.toThrow('not signed by its own key');
});

test.each([
  [
    'of RSA',
    { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
  ],
  ['of P-384', { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' }],
])('a key %s is not signed', async (_what, algorithm) => {
  await expect(authority.sign(await foreignRequest(algorithm), workload('reviews'))).rejects.toThrow(
    'only ECDSA P-256',
  );
});

test.each([
  '',
  'nonsense',
  '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----',
  'A'.repeat(100_000),
])('what is no request is refused', async (csr) => {
  await expect(authority.sign(csr, workload('reviews'))).rejects.toThrow(/cannot be read as PKCS #10|too long/);
});

test('an identity of another trust domain is not signed', async () => {
  const { csrPem } = createCertificateRequest();
  const sign = authority.sign(csrPem, { ...workload('reviews'), trustDomain: 'other.local' });
  await expect(sign).rejects.toThrow('not of the trust domain shop.local');
});

test('an authority goes on from its own PEM texts, and not with a key that is not its own', async () => {
  const { certificatePem, keyPem } = authority;
  const loaded = await CertificateAuthority.load({ certificatePem, keyPem, clock: systemClock });
  expect(loaded.trustDomain).toBe(trustDomain);
  const { chainPem } = await loaded.sign(createCertificateRequest().csrPem, workload('reviews'));
  expect(new X509Certificate(chainPem).verify(new X509Certificate(authority.bundlePem).publicKey)).toBe(true);
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  });
  await expect(
    CertificateAuthority.load({ certificatePem, keyPem: `${stranger}`, clock: systemClock }),
  ).rejects.toThrow('do not belong together');
});

test('every request has a key of its own', () => {
  const [first, second] = [createCertificateRequest(), createCertificateRequest()];
  expect(first.key).not.toBe(second.key);
  expect(createPrivateKey(first.key).asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
});
