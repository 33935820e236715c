import { formatSpiffeId } from '../model/index.ts';
import { clientSecureContext } from '../net/index.ts';
import { GrpcChannel } from '../rpc/index.ts';
import { controllerIdentity, verifyPeerIdentity } from './peer.ts';
import { splitPem } from './pem-chain.ts';
import type { Svid } from './svid.ts';

export interface ControllerChannelOptions {
  /** `host:port`. */
  readonly address: string;
  readonly trustDomain: string;
  /** What to verify the controller with. */
  readonly bundlePem: string;
  /** What to present; a proxy without its first SVID has nothing. */
  readonly svid?: Pick<Svid, 'key' | 'certChainPem'>;
}

/**
 * Connects at the first call, over TLS 1.3, to a server that proves to be the controller of the trust domain. A
 * channel keeps the credentials it was opened with: open a new one to use newer ones.
 */
export function openControllerChannel(options: ControllerChannelOptions): GrpcChannel {
  const { address, trustDomain, bundlePem, svid } = options;
  // Without roots of ours TLS would believe those of the web.
  if (splitPem(bundlePem).length === 0)
    throw new Error('the trust bundle to verify the controller with holds no certificate');
  const { hostname, port } = new URL(`https://${address}`);
  return new GrpcChannel({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 443),
    peer: {
      context: clientSecureContext({ key: svid?.key, certificateChain: svid?.certChainPem, bundle: bundlePem }),
      identity: formatSpiffeId(controllerIdentity(trustDomain)),
      verify: (subjectAltName) => {
        const id = verifyPeerIdentity(subjectAltName, trustDomain);
        return id && formatSpiffeId(id);
      },
      alpn: 'h2',
    },
  });
}
