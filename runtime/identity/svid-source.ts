import { createClient } from '@connectrpc/connect';
import type { Clock, Random, SpiffeId } from '../model/index.ts';
import { openControllerChannel } from './controller-channel.ts';
import { CertificateService } from './gen/meshwright/identity/v1/certificate_pb.js';
import type { Logger } from './logger.ts';
import type { SvidSource } from './svid.ts';
import { SvidRenewal } from './svid-renewal.ts';

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

const requestTimeout = 10_000;

/** The proxy's own SVID, asked of the controller. The key is made here and stays here. */
export function createSvidSource(options: SvidSourceOptions): SvidSource {
  const { controllerAddress, token, id } = options;
  return new SvidRenewal({
    ...options,
    async sign(csrPem, current) {
      const channel = openControllerChannel({
        address: controllerAddress,
        trustDomain: id.trustDomain,
        bundlePem: current?.bundlePem ?? options.bundlePem,
      });
      try {
        const client = createClient(CertificateService, channel.transport);
        const headers = { authorization: `Bearer ${(await token()).trim()}` };
        const response = await client.createCertificate({ csr: csrPem }, { headers, timeoutMs: requestTimeout });
        return { chainPem: response.certificateChain.join(''), bundlePem: response.trustBundle.join('') };
      } finally {
        channel.close();
      }
    },
  });
}
