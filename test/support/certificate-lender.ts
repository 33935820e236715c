import { createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Svid } from '../../runtime/identity/index.ts';
import { listening } from './listening.ts';

/** Lends a client that has no certificate that of a peer: plain bytes here, mutual TLS with HTTP/2 there. */
export function startCertificateLender(target: number, svid: Svid) {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const peer = connectTls({
      host: '127.0.0.1',
      port: target,
      key: svid.key,
      cert: svid.certChainPem,
      ca: svid.bundlePem,
      ALPNProtocols: ['h2'],
      checkServerIdentity: () => undefined,
    });
    for (const side of [socket, peer]) side.on('error', () => {});
    socket.pipe(peer).pipe(socket);
    socket.on('close', () => peer.destroy());
    peer.on('close', () => socket.destroy());
  });
  return listening(server);
}
