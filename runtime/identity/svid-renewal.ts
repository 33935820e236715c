import { createPrivateKey, X509Certificate } from 'node:crypto';
import { type Clock, formatSpiffeId, type Random, type SpiffeId, type Timer } from '../model/index.ts';
import { createCertificateRequest } from './certificate-request.ts';
import type { Logger } from './logger.ts';
import { verifyPeerIdentity } from './peer.ts';
import { retryDelay } from './retry-delay.ts';
import type { Svid, SvidSource } from './svid.ts';

export interface SvidRenewalOptions {
  readonly id: SpiffeId;
  /** Has a certificate made for a request. `current` is the SVID in use, if any. */
  readonly sign: (csrPem: string, current: Svid | undefined) => Promise<{ chainPem: string; bundlePem: string }>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The longest delay a timer of Node takes. */
const longestDelay = 2 ** 31 - 1;

/** Keeps an SVID valid, whoever signs it. Every renewal makes a new key. */
export class SvidRenewal implements SvidSource {
  readonly #options: SvidRenewalOptions;
  readonly #listeners = new Set<(svid: Svid) => void>();
  readonly #first = Promise.withResolvers<Svid>();
  #svid: Svid | undefined;
  #timer: Timer | undefined;
  #failures = 0;
  #started = false;
  #closed = false;

  constructor(options: SvidRenewalOptions) {
    this.#options = options;
    this.#first.promise.catch(() => {});
  }

  start(): Promise<Svid> {
    if (!this.#started) {
      this.#started = true;
      void this.#renew();
    }
    return this.#first.promise;
  }

  current(): Svid | undefined {
    return this.#svid && this.#svid.notAfter > this.#options.clock.wallTime() ? this.#svid : undefined;
  }

  onChange(listener: (svid: Svid) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#first.reject(new Error('the source of the SVID is closed'));
  }

  async #renew(): Promise<void> {
    const svid = await this.#request().catch((error: unknown) => this.#tryLater(error));
    if (svid && !this.#closed) this.#accept(svid);
  }

  async #request(): Promise<Svid> {
    const { id, sign, clock } = this.#options;
    const { key, csrPem } = createCertificateRequest();
    const { chainPem, bundlePem } = await sign(csrPem, this.current());
    const notAfter = checkSvid(key, chainPem, bundlePem, id);
    if (notAfter <= clock.wallTime()) throw new Error('the certificate has already expired');
    return { id, key, certChainPem: chainPem, bundlePem, notAfter };
  }

  #tryLater(error: unknown): undefined {
    if (this.#closed) return;
    const { id, random, logger } = this.#options;
    this.#failures++;
    const delay = retryDelay(this.#failures, random);
    const reason = error instanceof Error ? error.message : String(error);
    logger.warn({ id: formatSpiffeId(id), reason, retryInMs: Math.round(delay) }, 'no certificate was issued');
    this.#schedule(delay);
  }

  #accept(svid: Svid): void {
    const { id, clock, random, logger } = this.#options;
    this.#svid = svid;
    this.#failures = 0;
    const remaining = svid.notAfter - clock.wallTime();
    this.#schedule((remaining / 2) * (0.95 + random() / 10));
    logger.info(
      { id: formatSpiffeId(id), notAfter: new Date(svid.notAfter).toISOString() },
      'a certificate was issued',
    );
    this.#first.resolve(svid);
    for (const listener of this.#listeners) listener(svid);
  }

  #schedule(delay: number): void {
    this.#timer = this.#options.clock.schedule(Math.min(Math.max(delay, 0), longestDelay), () => void this.#renew());
  }
}

/** When the leaf of an answer expires. It has to be ours: our key, our identity, verified by one of the roots. */
function checkSvid(key: string, chainPem: string, bundlePem: string, id: SpiffeId): number {
  const leaf = new X509Certificate(chainPem);
  const found = verifyPeerIdentity(leaf.subjectAltName, id.trustDomain);
  if (!found || formatSpiffeId(found) !== formatSpiffeId(id)) {
    throw new Error(`the certificate is for ${leaf.subjectAltName ?? 'nobody'}, not for ${formatSpiffeId(id)}`);
  }
  if (!leaf.checkPrivateKey(createPrivateKey(key))) throw new Error('the certificate is for another key');
  const roots = splitPem(bundlePem).map((root) => new X509Certificate(root));
  if (!roots.some((root) => leaf.checkIssued(root) && leaf.verify(root.publicKey))) {
    throw new Error('the certificate is not signed by a root of the trust bundle');
  }
  return leaf.validToDate.getTime();
}

/** The certificates of a PEM text, one each. */
export function splitPem(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----\n?/g) ?? [];
}
