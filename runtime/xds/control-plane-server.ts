import { createSecureServer, type Http2SecureServer } from 'node:http2';
import type { Svid, SvidSource } from '../identity/index.ts';
import type { ControlPlaneHandler } from './control-plane.ts';

/** Milliseconds of silence after which the kernel asks whether a proxy is still there. */
const keepAliveDelay = 15_000;

/**
 * A TLS 1.3 server for the handler, not listening yet. It presents the newest SVID of the source (which has to be
 * started) and asks for a client certificate, which each RPC judges by itself: who asks for its first one has none.
 */
export function createControlPlaneServer(options: {
  readonly svid: SvidSource;
  readonly handler: ControlPlaneHandler;
}): Http2SecureServer {
  const { svid, handler } = options;
  const current = svid.current();
  if (!current) throw new Error('the source of the SVID is not started');
  const server = createSecureServer(
    {
      ...contextOf(current),
      requestCert: true,
      rejectUnauthorized: false,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveDelay,
    },
    handler.handle,
  );
  const stop = svid.onChange((next) => server.setSecureContext(contextOf(next)));
  server.on('close', stop);
  return server;
}

function contextOf(svid: Svid) {
  return { key: svid.key, cert: svid.certChainPem, ca: svid.bundlePem, minVersion: 'TLSv1.3' as const };
}
