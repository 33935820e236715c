/** The authority's side of identity, for the controller and for what issues workload tokens. Not for the sidecar. */

export type { AuthorityFiles, Rotation } from './authority-files.ts';
export { type AuthorityDescription, type CertificateDescription, inspectAuthority } from './authority-report.ts';
export { type AuthoritySvidSourceOptions, createAuthoritySvidSource } from './authority-svid-source.ts';
export {
  type Authority,
  AuthorityValidityError,
  CertificateAuthority,
  CertificateRequestError,
  createRoot,
  isOwnRoot,
  type ServingRequest,
  type SignedCertificate,
} from './certificate-authority.ts';
export { type CertificateRequest, createCertificateRequest } from './certificate-request.ts';
export { type CertificateServiceOptions, routeCertificateService } from './certificate-service.ts';
export {
  defaultOverlap,
  dueStep,
  phaseEnd,
  type RotationOptions,
  type RotationStep,
  rotationDue,
  takeStep,
} from './root-rotation.ts';
export { svidLifetime } from './svid.ts';
export {
  createTokenKeys,
  issueWorkloadToken,
  TokenError,
  type TokenKeys,
  verifyWorkloadToken,
  type WorkloadClaims,
} from './workload-token.ts';
