import type { SecureClientSessionOptions } from 'node:http2';
import type { Transport } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { formatSpiffeId } from '../model/index.ts';
import { controllerIdentity, verifyPeerIdentity } from './peer.ts';
import { splitPem } from './pem-chain.ts';
import type { Svid } from './svid.ts';

/** One gRPC connection to the controller. */
export interface ControllerChannel {
  readonly transport: Transport;
  /** Ends the connection and every call on it. */
  close(): void;
}

export interface ControllerChannelOptions {
  /** `host:port`. */
  readonly address: string;
  readonly trustDomain: string;
  /** What to verify the controller with. */
  readonly bundlePem: string;
  /** What to present; a proxy without its first SVID has nothing. */
  readonly svid?: Pick<Svid, 'key' | 'certChainPem'>;
}

const pingInterval = 10_000;
const pingTimeout = 5_000;

/**
 * Connects at the first call, over TLS 1.3, to a server that proves to be the controller of the trust domain. A
 * channel keeps the credentials it was opened with: open a new one to use newer ones.
 */
export function openControllerChannel(options: ControllerChannelOptions): ControllerChannel {
  const { address, trustDomain, bundlePem, svid } = options;
  // Without roots of ours TLS would believe those of the web.
  if (splitPem(bundlePem).length === 0)
    throw new Error('the trust bundle to verify the controller with holds no certificate');
  const baseUrl = `https://${address}`;
  const tls: SecureClientSessionOptions = {
    minVersion: 'TLSv1.3',
    ca: bundlePem,
    key: svid?.key,
    cert: svid?.certChainPem,
    // The certificate names an identity, not a host.
    checkServerIdentity: (_host, certificate) => refuseStranger(certificate.subjectaltname, trustDomain),
  };
  const sessionManager = new Http2SessionManager(
    baseUrl,
    // Not while idle: connect-node would go on to ping a session that has been destroyed, and that throws.
    { pingIntervalMs: pingInterval, pingTimeoutMs: pingTimeout, pingIdleConnection: false },
    tls,
  );
  return {
    transport: createGrpcTransport({ baseUrl, sessionManager }),
    close: () => sessionManager.abort(),
  };
}

function refuseStranger(subjectAltName: string | undefined, trustDomain: string): Error | undefined {
  const peer = verifyPeerIdentity(subjectAltName, trustDomain);
  const expected = formatSpiffeId(controllerIdentity(trustDomain));
  if (peer && formatSpiffeId(peer) === expected) return undefined;
  return new Error(`the certificate is for ${subjectAltName ?? 'nobody'}, not for ${expected}`);
}
