import { createPrivateKey, X509Certificate } from 'node:crypto';
import {
  type Clock,
  type Finding,
  finding,
  formatSpiffeId,
  type Random,
  type SpiffeId,
  type Timer,
} from '../model/index.ts';
import { createCertificateRequest } from './certificate-request.ts';
import type { Logger } from './logger.ts';
import { verifyPeerIdentity } from './peer.ts';
import { isIssuedBy, splitPem } from './pem-chain.ts';
import { retryDelay } from './retry-delay.ts';
import type { Svid, SvidSource } from './svid.ts';

export interface SvidRenewalOptions {
  readonly id: SpiffeId;
  /** Has a certificate made for a request. `last` is the SVID before, which may have expired. */
  readonly sign: (csrPem: string, last: Svid | undefined) => Promise<{ chainPem: string; bundlePem: string }>;
  /** Tells what a rejection of `sign` means. @default - a finding with its words */
  readonly explain?: (error: unknown) => Finding;
  /** Whether the last SVID should be replaced now, though it is valid; asked about once a minute. @default - never */
  readonly isOutdated?: () => Promise<boolean>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Milliseconds between two looks whether the SVID is outdated. */
const checkInterval = 60_000;

/** Keeps an SVID valid, whoever signs it. Every renewal makes a new key. */
export class SvidRenewal implements SvidSource {
  readonly #options: SvidRenewalOptions;
  readonly #listeners = new Set<(svid: Svid) => void>();
  readonly #first = Promise.withResolvers<Svid>();
  #svid: Svid | undefined;
  #timer: Timer | undefined;
  #check: Timer | undefined;
  #failures = 0;
  #problem: Finding | undefined;
  #started = false;
  #asking = false;
  #askAgain = false;
  #closed = false;

  constructor(options: SvidRenewalOptions) {
    this.#options = options;
    this.#first.promise.catch(() => {});
  }

  start(): Promise<Svid> {
    if (!this.#started) {
      this.#started = true;
      void this.#renew();
      this.#watch();
    }
    return this.#first.promise;
  }

  renew(): void {
    if (!this.#started || this.#closed) return;
    this.#timer?.cancel();
    if (this.#asking) this.#askAgain = true;
    else void this.#renew();
  }

  current(): Svid | undefined {
    return this.#svid && this.#svid.notAfter > this.#options.clock.wallTime() ? this.#svid : undefined;
  }

  get problem(): Finding | undefined {
    return this.#problem;
  }

  onChange(listener: (svid: Svid) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#check?.cancel();
    this.#first.reject(new Error('the source of the SVID is closed'));
  }

  async #renew(): Promise<void> {
    this.#asking = true;
    this.#askAgain = false;
    const svid = await this.#request().catch((error: unknown) => this.#tryLater(error));
    this.#asking = false;
    if (svid && !this.#closed) this.#accept(svid);
    if (this.#askAgain) this.renew();
  }

  /** Not all proxies at once: they learn of a change at the same time. */
  #watch(): void {
    const { clock, random, isOutdated } = this.#options;
    if (!isOutdated || this.#closed) return;
    this.#check = clock.schedule(checkInterval * (0.5 + random()), async () => {
      if (await isOutdated().catch(() => false)) this.renew();
      this.#watch();
    });
  }

  async #request(): Promise<Svid> {
    const { id, sign, clock } = this.#options;
    const { key, csrPem } = createCertificateRequest();
    const { chainPem, bundlePem } = await sign(csrPem, this.#svid);
    const notAfter = checkSvid(key, chainPem, bundlePem, id);
    if (notAfter <= clock.wallTime()) throw new Error('the certificate has already expired');
    return { id, key, certChainPem: chainPem, bundlePem, notAfter };
  }

  #tryLater(error: unknown): undefined {
    if (this.#closed) return;
    const { id, random, logger, explain = failure } = this.#options;
    this.#failures++;
    const delay = retryDelay(this.#failures, random);
    this.#problem = explain(error);
    const { message: reason, hint } = this.#problem;
    logger.warn({ id: formatSpiffeId(id), reason, hint, retryInMs: Math.round(delay) }, 'no certificate was issued');
    this.#schedule(delay);
  }

  #accept(svid: Svid): void {
    const { id, clock, random, logger } = this.#options;
    this.#svid = svid;
    this.#failures = 0;
    this.#problem = undefined;
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
    this.#timer = this.#options.clock.schedule(Math.max(delay, 0), () => void this.#renew());
  }
}

function failure(error: unknown): Finding {
  const message = error instanceof Error ? error.message : String(error);
  return finding('MW1620', { message, hint: 'it is tried again; `meshwright check` tells how the authority is' });
}

/**
 * When the chain of an answer expires. The leaf has to be ours, our key and our identity, and each certificate signed
 * by the next, the last one by a root of the bundle.
 */
function checkSvid(key: string, chainPem: string, bundlePem: string, id: SpiffeId): number {
  const [leaf, ...intermediates] = splitPem(chainPem).map((certificate) => new X509Certificate(certificate));
  if (!leaf) throw new Error('the answer holds no certificate');
  const found = verifyPeerIdentity(leaf.subjectAltName, id.trustDomain);
  if (!found || formatSpiffeId(found) !== formatSpiffeId(id)) {
    throw new Error(`the certificate is for ${leaf.subjectAltName ?? 'nobody'}, not for ${formatSpiffeId(id)}`);
  }
  if (!leaf.checkPrivateKey(createPrivateKey(key))) throw new Error('the certificate is for another key');
  let last = leaf;
  for (const issuer of intermediates) {
    if (!isIssuedBy(last, issuer))
      throw new Error(`the certificate of ${issuer.subject} did not sign the one before it`);
    last = issuer;
  }
  const roots = splitPem(bundlePem).map((root) => new X509Certificate(root));
  if (!roots.some((root) => isIssuedBy(last, root))) {
    throw new Error('the certificate is not signed by a root of the trust bundle');
  }
  return Math.min(...[leaf, ...intermediates].map(({ validToDate }) => validToDate.getTime()));
}
