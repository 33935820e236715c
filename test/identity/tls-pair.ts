import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { type Authority, createCertificateRequest } from '../../runtime/identity/authority.ts';
import { verifyPeerIdentity } from '../../runtime/identity/index.ts';
import { formatSpiffeId, type SpiffeId } from '../../runtime/model/index.ts';

/** What a proxy presents and believes. */
export interface Credentials {
  readonly key: string;
  readonly certChainPem: string;
  readonly bundlePem: string;
}

export async function credentialsOf(authority: Authority, id: SpiffeId): Promise<Credentials> {
  const { key, csrPem } = createCertificateRequest();
  const { chainPem, bundlePem } = await authority.sign(csrPem, id);
  return { key, certChainPem: chainPem, bundlePem };
}

/**
 * Connects two proxies over mutual TLS 1.3 and returns whom the server saw.
 *
 * @returns rejects where one does not believe the other
 */
export async function meet(client: Credentials, server: Credentials, trustDomain: string): Promise<string> {
  const context = ({ key, certChainPem, bundlePem }: Credentials) =>
    ({ key, cert: certChainPem, ca: bundlePem, minVersion: 'TLSv1.3' }) as const;
  const listener = createServer({ ...context(server), requestCert: true, rejectUnauthorized: true }, (socket) => {
    const id = verifyPeerIdentity(socket.getPeerX509Certificate()?.subjectAltName, trustDomain);
    socket.on('error', () => {});
    socket.end(id ? formatSpiffeId(id) : 'nobody');
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  let socket: TLSSocket | undefined;
  try {
    socket = connect({ ...context(client), port, host: '127.0.0.1', checkServerIdentity: () => undefined });
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    await once(socket, 'end');
    // With TLS 1.3 a client hears of its refusal after the handshake.
    if (text === '') throw new Error('the server does not believe the client');
    return text;
  } finally {
    socket?.destroy();
    listener.close();
  }
}
