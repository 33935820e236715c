import type { Http2SecureServer } from 'node:http2';
import type { SvidSource } from '../identity/index.ts';
import type { ControlPlaneHandler } from './control-plane.ts';

/**
 * A TLS 1.3 server for the handler, not listening yet. It presents the newest SVID of the source (which has to be
 * started) and asks for a client certificate, which each RPC judges by itself: who asks for its first one has none.
 */
export function createControlPlaneServer(_options: {
  readonly svid: SvidSource;
  readonly handler: ControlPlaneHandler;
}): Http2SecureServer {
  throw new Error('not built yet');
}
