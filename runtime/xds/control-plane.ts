import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { CertificateAuthority, WorkloadClaims } from '../identity/authority.ts';
import type { Logger } from '../identity/index.ts';
import type { Clock, ResourceKind, SpiffeId } from '../model/index.ts';
import type { DiscoveryCache } from './discovery-cache.ts';
import type { ProxyStatus } from './proxy-status.ts';

export interface ControlPlaneOptions {
  readonly authority: CertificateAuthority;
  /** Whom a bearer token speaks for; rejects with `TokenError`. */
  readonly verifyToken: (token: string) => Promise<WorkloadClaims>;
  readonly cache: DiscoveryCache;
  /** Whether a proxy of this identity may see a resource. */
  readonly authorize: (identity: SpiffeId, kind: ResourceKind, name: string) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ControlPlaneHandler {
  /** Answers the RPCs `CreateCertificate` and `DeltaAggregatedResources`. */
  handle(request: Http2ServerRequest, response: Http2ServerResponse): void;
  /** The proxies connected now. */
  proxies(): readonly ProxyStatus[];
  /** Asks `authorize` again for everything subscribed; call it after its answers may have changed. */
  reauthorize(): void;
  /** Ends every stream. */
  close(): void;
}

/** The RPCs of the control plane, to be mounted on a TLS server: see {@link createControlPlaneServer}. */
export function createControlPlaneHandler(_options: ControlPlaneOptions): ControlPlaneHandler {
  throw new Error('not built yet');
}
