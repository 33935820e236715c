import type { Clock, Random, SpiffeId } from '../model/index.ts';
import type { Logger } from './logger.ts';
import type { SvidSource } from './svid.ts';

export interface SvidSourceOptions {
  /** `host:port` of the controller. */
  readonly controllerAddress: string;
  /** The roots to verify the controller with at first; later those that came with the SVID. */
  readonly bundlePem: string;
  /** The bearer token that proves who we are; asked for anew at every request. */
  readonly token: () => Promise<string>;
  /** The identity to get; an SVID for another one is refused. */
  readonly id: SpiffeId;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The proxy's own SVID, asked of the controller. The key is made here and stays here. */
export function createSvidSource(_options: SvidSourceOptions): SvidSource {
  throw new Error('not built yet');
}
