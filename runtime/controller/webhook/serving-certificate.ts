import { X509Certificate } from 'node:crypto';
import { type Authority, createCertificateRequest } from '../../identity/authority.ts';
import { type Logger, retryDelay } from '../../identity/index.ts';
import type { Clock, Random, Timer } from '../../model/index.ts';

/** The certificate of a server, with its key. */
export interface ServingCertificate {
  /** PEM, the leaf first. */
  readonly chainPem: string;
  /** PKCS #8 PEM. Never written anywhere. */
  readonly key: string;
}

export interface ServingCertificateOptions {
  /** Asked at each renewal, so that a new authority is taken up. */
  readonly authority: () => Pick<Authority, 'signServing'>;
  /** The names clients know the server by. */
  readonly dnsNames: readonly string[];
  readonly onChange: (certificate: ServingCertificate) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Keeps the certificate of a server valid: a new one, with a new key, at half of its life. */
export class ServingCertificateRenewal {
  readonly #options: ServingCertificateOptions;
  #timer: Timer | undefined;
  #failures = 0;
  #renewing: Promise<void> | undefined;
  #closed = false;

  constructor(options: ServingCertificateOptions) {
    this.#options = options;
  }

  /** Gets a certificate now: the first one, or one of another authority. What fails is tried again. */
  renew(): Promise<void> {
    this.#timer?.cancel();
    const before = this.#renewing ?? Promise.resolve();
    const renewing = before.then(() => this.#renew());
    this.#renewing = renewing;
    return renewing;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async #renew(): Promise<void> {
    if (this.#closed) return;
    const { authority, dnsNames, onChange, clock, random, logger } = this.#options;
    try {
      const { key, csrPem } = createCertificateRequest();
      const { chainPem } = await authority().signServing({ csrPem, dnsNames });
      if (this.#closed) return;
      onChange({ chainPem, key });
      this.#failures = 0;
      const remaining = new X509Certificate(chainPem).validToDate.getTime() - clock.wallTime();
      this.#schedule((remaining / 2) * (0.95 + random() / 10));
    } catch (error) {
      this.#failures++;
      const delay = retryDelay(this.#failures, random);
      logger.warn(
        { dnsNames, reason: String(error), retryInMs: Math.round(delay) },
        'no serving certificate was issued',
      );
      this.#schedule(delay);
    }
  }

  #schedule(delay: number): void {
    if (this.#closed) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.schedule(Math.max(delay, 0), () => void this.renew());
  }
}
