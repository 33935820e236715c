import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect';
import { formatSpiffeId, parseSpiffeId, type SpiffeId } from '../model/index.ts';
import { type Authority, AuthorityValidityError, CertificateRequestError } from './certificate-authority.ts';
import { CertificateService } from './gen/meshwright/identity/v1/certificate_pb.js';
import type { Logger } from './logger.ts';
import { splitPem } from './pem-chain.ts';
import { TokenError, type WorkloadClaims } from './workload-token.ts';

export interface CertificateServiceOptions {
  readonly authority: Authority;
  /** Whom a bearer token speaks for; rejects with {@link TokenError}. */
  readonly verifyToken: (token: string) => Promise<WorkloadClaims>;
  readonly logger: Logger;
}

/** Adds the RPC by which workloads get their SVIDs. */
export function routeCertificateService(router: ConnectRouter, options: CertificateServiceOptions): void {
  const { authority, verifyToken, logger } = options;
  router.service(CertificateService, {
    async createCertificate(request, context) {
      try {
        const claims = await verifyToken(bearerToken(context.requestHeader));
        const id = workloadIdentity(authority.trustDomain, claims);
        const { chainPem, bundlePem } = await authority.sign(request.csr, id);
        return { certificateChain: splitPem(chainPem), trustBundle: splitPem(bundlePem) };
      } catch (error) {
        const refusal = asRefusal(error);
        if (!refusal) throw error;
        logger.warn({ reason: refusal.rawMessage }, 'a certificate request was refused');
        throw refusal;
      }
    },
  });
}

function bearerToken(headers: Headers): string {
  const match = /^Bearer (\S+)$/i.exec(headers.get('authorization') ?? '');
  if (!match) throw new TokenError('there is no bearer token');
  return match[1];
}

function workloadIdentity(trustDomain: string, claims: WorkloadClaims): SpiffeId {
  const { namespace, serviceAccount } = claims;
  const id = parseSpiffeId(formatSpiffeId({ trustDomain, namespace, serviceAccount }));
  if (!id) throw new TokenError(`${namespace}/${serviceAccount} does not make a SPIFFE id`);
  return id;
}

function asRefusal(error: unknown): ConnectError | undefined {
  if (error instanceof TokenError) return new ConnectError(error.message, Code.Unauthenticated);
  if (error instanceof CertificateRequestError) return new ConnectError(error.message, Code.InvalidArgument);
  if (error instanceof AuthorityValidityError) return new ConnectError(error.message, Code.Unavailable);
  return undefined;
}
