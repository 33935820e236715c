/** The authority's side of identity, for the controller and for what issues workload tokens. Not for the sidecar. */
export { type AuthoritySvidSourceOptions, createAuthoritySvidSource } from './authority-svid-source.ts';
export { CertificateAuthority, CertificateRequestError, type SignedCertificate } from './certificate-authority.ts';
export { type CertificateServiceOptions, routeCertificateService } from './certificate-service.ts';
export {
  createTokenKeys,
  issueWorkloadToken,
  TokenError,
  type TokenKeys,
  verifyWorkloadToken,
  type WorkloadClaims,
} from './workload-token.ts';
