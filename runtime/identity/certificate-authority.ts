import type { Clock, SpiffeId } from '../model/index.ts';

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

/** Issues the X.509-SVIDs of a trust domain. Its state is two PEM texts that the caller keeps. */
export class CertificateAuthority {
  readonly trustDomain: string;
  /** The root certificate. */
  readonly certificatePem: string;
  /** The root's private key, PKCS #8: whoever has it is every workload. */
  readonly keyPem: string;

  private constructor(trustDomain: string, certificatePem: string, keyPem: string) {
    this.trustDomain = trustDomain;
    this.certificatePem = certificatePem;
    this.keyPem = keyPem;
  }

  /** Makes a new root. */
  static create(_options: { readonly trustDomain: string; readonly clock: Clock }): Promise<CertificateAuthority> {
    throw new Error('not built yet');
  }

  /** Takes up a root that `create` made. */
  static load(_options: {
    readonly certificatePem: string;
    readonly keyPem: string;
    readonly clock: Clock;
  }): Promise<CertificateAuthority> {
    throw new Error('not built yet');
  }

  /** What peers verify certificates of this authority with. */
  get bundlePem(): string {
    return this.certificatePem;
  }

  /**
   * Signs a certificate for the key of a request. Whatever names the request asks for are ignored: `id` is what the
   * caller proved to be. `ttl` is in milliseconds.
   */
  sign(_csrPem: string, _id: SpiffeId, _ttl?: number): Promise<SignedCertificate> {
    throw new Error('not built yet');
  }
}
