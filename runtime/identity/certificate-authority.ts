import 'reflect-metadata';
import { generateKeyPairSync, X509Certificate as NativeCertificate, type webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  type PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { type Clock, type Finding, FindingsError, finding, formatSpiffeId, type SpiffeId } from '../model/index.ts';
import { type AuthorityChain, readAuthorityChain } from './authority-chain.ts';
import type { AuthorityFiles, Rotation } from './authority-files.ts';
import { type AuthorityDescription, describeChain, validityFindings } from './authority-report.ts';
import { svidLifetime } from './svid.ts';

/** A certificate the authority made, with the roots that verify it. */
export interface SignedCertificate {
  /** PEM, the leaf first. */
  readonly chainPem: string;
  readonly bundlePem: string;
}

/** Makes certificates of a trust domain. */
export interface Authority {
  readonly trustDomain: string;
  /** PEM of the roots that peers verify certificates of this authority with. */
  readonly bundlePem: string;
  /**
   * Signs an X.509-SVID for the key of a request. Whatever names the request asks for are ignored: `id` is what the
   * caller proved to be. `ttl` is in milliseconds, a day unless told; no certificate outlives who signs it.
   */
  sign(csrPem: string, id: SpiffeId, ttl?: number): Promise<SignedCertificate>;
  /** Signs the certificate of a server that is known by names, not by an identity: it is of no use in the mesh. */
  signServing(request: ServingRequest): Promise<SignedCertificate>;
}

export interface ServingRequest {
  readonly csrPem: string;
  readonly dnsNames: readonly string[];
}

/** A request that is not signed by its own key, or whose key is not ECDSA P-256. */
export class CertificateRequestError extends Error {
  override readonly name = 'CertificateRequestError';
}

/** The authority cannot sign, because it is not valid now. */
export class AuthorityValidityError extends Error {
  override readonly name = 'AuthorityValidityError';
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const day = 24 * 60 * 60 * 1000;
const rootLifetime = 3650 * day;
/** How far behind a verifier's clock may be. */
const skew = 20_000;
const maxRequestLength = 8192;
const dnsName = /^(?=.{1,253}$)([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** An authority whose state is PEM texts that the caller keeps. */
export class CertificateAuthority implements Authority {
  readonly trustDomain: string;
  /** The certificate that signs and those between it and the root. */
  readonly certificatePem: string;
  /** The private key that signs, PKCS #8: whoever has it can be every workload. */
  readonly keyPem: string;
  readonly bundlePem: string;
  readonly #chain: AuthorityChain;
  readonly #key: webcrypto.CryptoKey;
  readonly #clock: Clock;
  readonly #source: string;

  private constructor(trustDomain: string, chain: AuthorityChain, clock: Clock, source: string) {
    const { key, algorithm } = chain.key;
    this.trustDomain = trustDomain;
    this.certificatePem = [chain.issuer, ...chain.intermediates.slice(1)].map(({ pem }) => pem).join('');
    this.keyPem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
    this.bundlePem = chain.roots.map(({ pem }) => pem).join('');
    this.#chain = chain;
    this.#key = key.toCryptoKey(algorithm, false, ['sign']);
    this.#clock = clock;
    this.#source = source;
  }

  /** Makes a new root. */
  static async create(options: { readonly trustDomain: string; readonly clock: Clock }): Promise<CertificateAuthority> {
    return CertificateAuthority.load({ ...(await createRoot(options)), clock: options.clock });
  }

  /**
   * Takes up a root that {@link create} made, or an authority of the user's: any that `tls.crt`, `tls.key` and `ca.crt`
   * of a Secret can hold. Rejects with a `FindingsError` where peers would not believe its certificates; being expired
   * is not among these, since it may be replaced at any time.
   */
  static async load(
    options: AuthorityFiles & {
      readonly clock: Clock;
      /** @default - what the certificates say */
      readonly trustDomain?: string;
      /** What findings call the place the files come from. */
      readonly source?: string;
    },
  ): Promise<CertificateAuthority> {
    const { clock, trustDomain, source = 'certificate authority' } = options;
    const chain = readAuthorityChain(options, { trustDomain, source });
    if (chain.trustDomain === undefined) {
      const message = 'its certificates name no trust domain';
      const hint = 'say which the mesh has: spec.trustDomain of the Mesh object';
      throw new FindingsError([finding('MW1606', { object: source, message, hint })]);
    }
    return new CertificateAuthority(chain.trustDomain, chain, clock, source);
  }

  async sign(csrPem: string, id: SpiffeId, ttl: number = svidLifetime): Promise<SignedCertificate> {
    if (id.trustDomain !== this.trustDomain) {
      throw new CertificateRequestError(`${formatSpiffeId(id)} is not of the trust domain ${this.trustDomain}`);
    }
    const purposes = [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth];
    return this.#issue(csrPem, [{ type: 'url', value: formatSpiffeId(id) }], purposes, ttl);
  }

  async signServing({ csrPem, dnsNames }: ServingRequest): Promise<SignedCertificate> {
    const wrong = dnsNames.find((name) => !dnsName.test(name));
    if (wrong !== undefined || dnsNames.length === 0) {
      throw new CertificateRequestError(`a server is known by DNS names, got ${wrong ?? 'none'}`);
    }
    const names = dnsNames.map((value): JsonGeneralName => ({ type: 'dns', value }));
    return this.#issue(csrPem, names, [ExtendedKeyUsage.serverAuth], svidLifetime);
  }

  describe(rotation?: Rotation): AuthorityDescription {
    return describeChain(this.#chain, rotation);
  }

  /** Whether it cannot sign any more. */
  get hasExpired(): boolean {
    const now = this.#clock.wallTime();
    return this.#chain.path.some(({ notAfter }) => notAfter <= now);
  }

  /** What is wrong now, or will soon be, with the validity of its certificates. */
  findings(): readonly Finding[] {
    return validityFindings(this.#chain, { now: this.#clock.wallTime(), source: this.#source });
  }

  async #issue(
    csrPem: string,
    names: JsonGeneralName[],
    purposes: readonly ExtendedKeyUsage[],
    ttl: number,
  ): Promise<SignedCertificate> {
    const publicKey = await verifiedKey(csrPem);
    const now = this.#clock.wallTime();
    this.#checkValidity(now);
    const { issuer, intermediates, path } = this.#chain;
    const issuerKey = issuer.certificate.getExtension(SubjectKeyIdentifierExtension);
    const leaf = await X509CertificateGenerator.create({
      publicKey,
      signingKey: this.#key,
      signingAlgorithm: this.#chain.key.algorithm,
      issuer: issuer.certificate.subjectName,
      notBefore: new Date(now - skew),
      notAfter: new Date(Math.min(now + ttl, ...path.map(({ notAfter }) => notAfter))),
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([...purposes]),
        // Critical because the subject is empty (RFC 5280 section 4.2.1.6).
        new SubjectAlternativeNameExtension(names, true),
        await SubjectKeyIdentifierExtension.create(publicKey),
        // As the issuer calls its key, however that was computed; who does not call it anything has no need of it.
        ...(issuerKey ? [new AuthorityKeyIdentifierExtension(issuerKey.keyId)] : []),
      ],
    });
    const chainPem = [`${leaf.toString('pem')}\n`, ...intermediates.map(({ pem }) => pem)].join('');
    return { chainPem, bundlePem: this.bundlePem };
  }

  #checkValidity(now: number): void {
    const expired = this.#chain.path.find(({ notAfter }) => notAfter <= now);
    const early = this.#chain.path.find(({ notBefore }) => notBefore > now + skew);
    const date = (time: number) => new Date(time).toISOString();
    if (expired) throw new AuthorityValidityError(`${expired.subject} expired on ${date(expired.notAfter)}`);
    if (early) throw new AuthorityValidityError(`${early.subject} is not valid before ${date(early.notBefore)}`);
  }
}

/** A new root of a trust domain that signs itself: ECDSA P-256, ten years. */
export async function createRoot(options: {
  readonly trustDomain: string;
  readonly clock: Clock;
}): Promise<Pick<AuthorityFiles, 'certificatePem' | 'keyPem'>> {
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
  const keyPem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { certificatePem: `${root.toString('pem')}\n`, keyPem };
}

/** Whether a certificate is one that {@link createRoot} made; of what cannot be read it is not. */
export function isOwnRoot(certificatePem: string): boolean {
  try {
    const { subject, issuer } = new NativeCertificate(certificatePem);
    return subject === issuer && /^CN=Meshwright root$/m.test(subject);
  } catch {
    return false;
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
