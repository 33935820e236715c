import type { Clock, Random, SpiffeId } from '../model/index.ts';
import { ProtobufWriter, readFields, readText } from '../rpc/index.ts';
import { certificateFailure } from './certificate-failure.ts';
import { openControllerChannel } from './controller-channel.ts';
import type { Logger } from './logger.ts';
import { splitPem } from './pem-chain.ts';
import type { SvidSource } from './svid.ts';
import { SvidRenewal } from './svid-renewal.ts';

export interface SvidSourceOptions {
  /** `host:port` of the controller. */
  readonly controllerAddress: string;
  /**
   * The roots to verify the controller with, asked for at every request and about once a minute. When they change, the
   * SVID is renewed at once, and what came with it before is not believed any more: so a root can be replaced without
   * overlap, and an SVID that expired meanwhile comes back.
   */
  readonly bundlePem: () => Promise<string>;
  /** The bearer token that proves who we are; asked for anew at every request. */
  readonly token: () => Promise<string>;
  /** The identity to get; an SVID for another one is refused. */
  readonly id: SpiffeId;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const requestTimeout = 10_000;
/** Its messages are those of proto/meshwright/identity/v1/certificate.proto. */
const method = '/meshwright.identity.v1.CertificateService/CreateCertificate';

/** The proxy's own SVID, asked of the controller. The key is made here and stays here. */
export function createSvidSource(options: SvidSourceOptions): SvidSource {
  const { controllerAddress, token, id } = options;
  /** The given roots that the last request was made with, and those that the SVID in use was got with. */
  let asked: string | undefined;
  let issued: string | undefined;
  const source = new SvidRenewal({
    ...options,
    explain: (error) => certificateFailure(error, controllerAddress),
    isOutdated: async () => issued !== undefined && (await options.bundlePem()) !== issued,
    async sign(csrPem, last) {
      asked = await options.bundlePem();
      const given = asked;
      const isNews = given !== issued;
      // Those that came with an SVID are newer than given ones that have not changed since.
      const bundlePem = last && !isNews ? `${given}\n${last.bundlePem}` : given;
      const channel = openControllerChannel({ address: controllerAddress, trustDomain: id.trustDomain, bundlePem });
      try {
        const headers = ['authorization', `Bearer ${(await token()).trim()}`];
        const request = new ProtobufWriter().string(1, csrPem).finish();
        const response = await channel.unary(method, request, headers, requestTimeout);
        let chainPem = '';
        // Roots are announced by one controller; the one that signs may not know of them yet.
        const roots = isNews ? splitPem(given) : [];
        for (const [field, value] of readFields(response)) {
          if (field === 1) chainPem += readText(value);
          else if (field === 2) roots.push(readText(value));
        }
        return { chainPem, bundlePem: [...new Set(roots.map((root) => `${root.trim()}\n`))].join('') };
      } finally {
        channel.close();
      }
    },
  });
  source.onChange(() => {
    issued = asked;
  });
  return source;
}
