import type { Clock, Random, SpiffeId } from '../model/index.ts';
import type { Authority } from './certificate-authority.ts';
import type { Logger } from './logger.ts';
import type { SvidSource } from './svid.ts';
import { SvidRenewal } from './svid-renewal.ts';

export interface AuthoritySvidSourceOptions {
  readonly authority: Authority;
  readonly id: SpiffeId;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The SVID of the process that holds the authority: the controller's own certificate. */
export function createAuthoritySvidSource(options: AuthoritySvidSourceOptions): SvidSource {
  const { authority, id } = options;
  return new SvidRenewal({ ...options, sign: (csrPem) => authority.sign(csrPem, id) });
}
