import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { type ContextValues, createContextValues } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { type Authority, routeCertificateService, type WorkloadClaims } from '../identity/authority.ts';
import { type Logger, verifyPeerIdentity } from '../identity/index.ts';
import type { Clock, ResourceKind, SpiffeId } from '../model/index.ts';
import type { DiscoveryCache } from './discovery-cache.ts';
import { DiscoveryService, type Peer, peerKey } from './discovery-service.ts';
import type { ProxyStatus } from './proxy-status.ts';

export interface ControlPlaneOptions {
  readonly authority: Authority;
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

/** The largest request: as gRPC's own default. */
const maxRequestSize = 4 << 20;

/** The RPCs of the control plane, to be mounted on a TLS server: see {@link createControlPlaneServer}. */
export function createControlPlaneHandler(options: ControlPlaneOptions): ControlPlaneHandler {
  const discovery = new DiscoveryService(options);
  const handle = connectNodeAdapter({
    grpcWeb: false,
    connect: false,
    readMaxBytes: maxRequestSize,
    routes(router) {
      routeCertificateService(router, options);
      discovery.route(router);
    },
    contextValues: (request) => peerValues(request.socket, options.authority.trustDomain),
  });
  return {
    handle(request, response) {
      // Nothing here depends on it, but the adapter makes a URL of it and throws where that fails: at an address of IPv6,
      // which Node's own client sends without brackets, or at anything else that somebody makes up.
      request.headers[':authority'] = 'controller';
      handle(request, response);
    },
    proxies: () => discovery.proxies(),
    reauthorize: () => discovery.reauthorize(),
    close: () => discovery.close(),
  };
}

function peerValues(socket: unknown, trustDomain: string): ContextValues {
  return createContextValues().set(peerKey, peerOf(socket as TLSSocket, trustDomain));
}

/** Who a TLS connection is with; nobody where the certificate is missing or its chain did not verify. */
function peerOf(socket: TLSSocket, trustDomain: string): Peer | undefined {
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
  const identity = verifyPeerIdentity(certificate?.subjectAltName, trustDomain);
  return identity && certificate && { identity, notAfter: certificate.validToDate.getTime() };
}
