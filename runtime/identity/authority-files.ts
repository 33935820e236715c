/** What is kept of a certificate authority: texts, so that any store can hold them. */
export interface AuthorityFiles {
  /** PEM: the certificate that signs, then those between it and the root, as in `tls.crt` of a Secret. */
  readonly certificatePem: string;
  /** PEM of its private key: PKCS #8, PKCS #1 or SEC 1. Whoever has it can be every workload. */
  readonly keyPem: string;
  /** PEM of the roots that are believed, as in `ca.crt`. @default - the last certificate of `certificatePem` */
  readonly rootPem?: string;
  /** A change of root that is under way. */
  readonly rotation?: Rotation;
}

/**
 * Where a change of root is. `announced`: everybody is told of the next root, the old one signs. `retiring`: the new
 * one signs, the old one is still believed.
 */
export type Rotation =
  | {
      readonly phase: 'announced';
      /** When the phase began: wall-clock milliseconds. */
      readonly since: number;
      readonly certificatePem: string;
      readonly keyPem: string;
    }
  | { readonly phase: 'retiring'; readonly since: number };
