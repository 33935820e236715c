import 'reflect-metadata';
import { createPrivateKey, generateKeyPairSync, type KeyObject, type webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  type PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { type Clock, formatSpiffeId, type SpiffeId } from '../model/index.ts';

/** A certificate the authority made, with the roots that verify it. */
export interface SignedCertificate {
  /** PEM, the leaf first. */
  readonly chainPem: string;
  readonly bundlePem: string;
}

/** A request that is not signed by its own key, or whose key is not ECDSA P-256. */
export class CertificateRequestError extends Error {
  override readonly name = 'CertificateRequestError';
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const day = 24 * 60 * 60 * 1000;
const rootLifetime = 3650 * day;
const leafLifetime = day;
/** How far behind a verifier's clock may be. */
const skew = 20_000;
const maxRequestLength = 8192;

/** Issues the X.509-SVIDs of a trust domain. Its state is two PEM texts that the caller keeps. */
export class CertificateAuthority {
  readonly trustDomain: string;
  /** The root certificate. */
  readonly certificatePem: string;
  /** The root's private key, PKCS #8: whoever has it can be every workload. */
  readonly keyPem: string;
  readonly #root: X509Certificate;
  readonly #key: webcrypto.CryptoKey;
  readonly #clock: Clock;

  private constructor(trustDomain: string, root: X509Certificate, key: KeyObject, clock: Clock) {
    this.trustDomain = trustDomain;
    this.certificatePem = `${root.toString('pem')}\n`;
    this.keyPem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
    this.#root = root;
    this.#key = key.toCryptoKey(algorithm, false, ['sign']);
    this.#clock = clock;
  }

  /** Makes a new root. */
  static async create(options: { readonly trustDomain: string; readonly clock: Clock }): Promise<CertificateAuthority> {
    const { trustDomain, clock } = options;
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const keys = {
      privateKey: pair.privateKey.toCryptoKey(algorithm, false, ['sign']),
      publicKey: pair.publicKey.toCryptoKey(algorithm, true, ['verify']),
    };
    const now = clock.wallTime();
    const root = await X509CertificateGenerator.createSelfSigned({
      name: `CN=Meshwright root,O=${trustDomain}`,
      keys,
      signingAlgorithm: algorithm,
      notBefore: new Date(now - skew),
      notAfter: new Date(now + rootLifetime),
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        new SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${trustDomain}` }]),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new CertificateAuthority(trustDomain, root, pair.privateKey, clock);
  }

  /** Takes up a root that {@link create} made. */
  static async load(options: {
    readonly certificatePem: string;
    readonly keyPem: string;
    readonly clock: Clock;
  }): Promise<CertificateAuthority> {
    const root = new X509Certificate(options.certificatePem);
    const key = createPrivateKey(options.keyPem);
    const name = root.getExtension(SubjectAlternativeNameExtension)?.names.items[0]?.value;
    if (!name?.startsWith('spiffe://')) throw new Error('the root certificate names no trust domain');
    const authority = new CertificateAuthority(name.slice('spiffe://'.length), root, key, options.clock);
    if (!(await authority.#isOwnKey()))
      throw new Error('the root certificate and the private key do not belong together');
    return authority;
  }

  /** What peers verify certificates of this authority with. */
  get bundlePem(): string {
    return this.certificatePem;
  }

  /**
   * Signs a certificate for the key of a request. Whatever names the request asks for are ignored: `id` is what the
   * caller proved to be. `ttl` is in milliseconds, a day unless told; no certificate outlives the root.
   */
  async sign(csrPem: string, id: SpiffeId, ttl: number = leafLifetime): Promise<SignedCertificate> {
    if (id.trustDomain !== this.trustDomain) {
      throw new CertificateRequestError(`${formatSpiffeId(id)} is not of the trust domain ${this.trustDomain}`);
    }
    const publicKey = await verifiedKey(csrPem);
    const now = this.#clock.wallTime();
    const leaf = await X509CertificateGenerator.create({
      publicKey,
      signingKey: this.#key,
      signingAlgorithm: algorithm,
      issuer: this.#root.subjectName,
      notBefore: new Date(now - skew),
      notAfter: new Date(Math.min(now + ttl, this.#root.notAfter.getTime())),
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
        // Critical because the subject is empty (RFC 5280 section 4.2.1.6).
        new SubjectAlternativeNameExtension([{ type: 'url', value: formatSpiffeId(id) }], true),
        await SubjectKeyIdentifierExtension.create(publicKey),
        await AuthorityKeyIdentifierExtension.create(this.#root.publicKey),
      ],
    });
    return { chainPem: `${leaf.toString('pem')}\n`, bundlePem: this.bundlePem };
  }

  async #isOwnKey(): Promise<boolean> {
    const data = Buffer.from('meshwright');
    const signature = await crypto.subtle.sign(algorithm, this.#key, data);
    return crypto.subtle.verify(algorithm, await this.#root.publicKey.export(), signature, data);
  }
}

/** The key of a request that proves to be held by who made it. */
async function verifiedKey(csrPem: string): Promise<PublicKey> {
  if (csrPem.length > maxRequestLength) throw new CertificateRequestError('the certificate request is too long');
  const request = parse(csrPem);
  const { name, namedCurve } = request.publicKey.algorithm as webcrypto.EcKeyAlgorithm;
  if (name !== algorithm.name || namedCurve !== algorithm.namedCurve) {
    throw new CertificateRequestError(`the key is ${namedCurve ?? name}, only ECDSA P-256 is signed`);
  }
  if (!(await request.verify().catch(() => false))) {
    throw new CertificateRequestError('the certificate request is not signed by its own key');
  }
  return request.publicKey;
}

function parse(csrPem: string): Pkcs10CertificateRequest {
  try {
    return new Pkcs10CertificateRequest(csrPem);
  } catch {
    throw new CertificateRequestError('the certificate request cannot be read as PKCS #10');
  }
}
