import type { Clock, Random, SpiffeId } from '../model/index.ts';
import type { CertificateAuthority } from './certificate-authority.ts';
import type { Logger } from './logger.ts';
import type { SvidSource } from './svid.ts';

export interface AuthoritySvidSourceOptions {
  readonly authority: CertificateAuthority;
  readonly id: SpiffeId;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The SVID of the process that holds the authority: the controller's own certificate. */
export function createAuthoritySvidSource(_options: AuthoritySvidSourceOptions): SvidSource {
  throw new Error('not built yet');
}
