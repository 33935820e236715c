import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions, type TLSSocket } from 'node:tls';

/** What a proxy proves itself with and what it believes, all PEM. */
export interface TlsIdentity {
  readonly key: string;
  readonly certificateChain: string;
  /** Certificates of the authorities of the trust domain. */
  readonly bundle: string;
}

/** Reads the SPIFFE id out of a certificate's subjectAltName text; `undefined` when it has none that we accept. */
export type PeerVerifier = (subjectAltName: string | undefined) => string | undefined;

/**
 * Options of a mesh TLS context: TLS 1.3 only (DESIGN, "Identity"). Tickets are off, because a resumed session would
 * not verify the peer's certificate again.
 */
export function secureContextOptions(
  identity: Partial<TlsIdentity> & Pick<TlsIdentity, 'bundle'>,
): SecureContextOptions {
  return {
    key: identity.key,
    cert: identity.certificateChain,
    ca: identity.bundle,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/** A context for outgoing connections; make one when the identity changes and share it. */
export function clientSecureContext(
  identity: Partial<TlsIdentity> & Pick<TlsIdentity, 'bundle'>,
): ReturnType<typeof createSecureContext> {
  return createSecureContext(secureContextOptions(identity));
}

let unverified: SecureContext | undefined;

/** A context for servers that are not verified: it believes nobody, so none of the authorities of the web is loaded. */
export function unverifiedContext(): SecureContext {
  unverified ??= createSecureContext({ ca: [], minVersion: 'TLSv1.2' });
  return unverified;
}

/** The SPIFFE id a connected peer proved, or `undefined`. */
export function peerIdentity(socket: TLSSocket, verify: PeerVerifier): string | undefined {
  return verify(socket.getPeerX509Certificate()?.subjectAltName);
}
