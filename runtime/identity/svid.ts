import type { Finding, SpiffeId } from '../model/index.ts';

/** Milliseconds an SVID is valid, unless told otherwise. */
export const svidLifetime = 24 * 60 * 60 * 1000;

/** An X.509-SVID with its private key, and what to verify others with. */
export interface Svid {
  readonly id: SpiffeId;
  /** PKCS #8 PEM. Never written anywhere. */
  readonly key: string;
  /** PEM, the leaf first. */
  readonly certChainPem: string;
  /** The roots of the trust domain. */
  readonly bundlePem: string;
  /** Wall-clock milliseconds. */
  readonly notAfter: number;
}

/** Keeps an SVID valid: renews it at half of its life, retries with backoff, keeps the last one until it expires. */
export interface SvidSource {
  /** Resolves with the first SVID; keeps trying until there is one. Rejects when closed before. */
  start(): Promise<Svid>;
  /** The newest SVID; `undefined` before the first and after the last one expired. */
  current(): Svid | undefined;
  /** Why the last one asked for did not come; `undefined` once one did. */
  readonly problem: Finding | undefined;
  /** Calls back with every new SVID. Returns what ends it. */
  onChange(listener: (svid: Svid) => void): () => void;
  /** Gets a new SVID now, after what certifies it has changed. */
  renew(): void;
  close(): void;
}
