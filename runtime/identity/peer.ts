import { parseSpiffeId, type SpiffeId } from '../model/index.ts';

/**
 * The identity a peer's verified certificate carries: exactly one subject alternative name, a URI, a SPIFFE id of
 * this trust domain. Anything else is no identity.
 *
 * `subjectAltName` is Node's text form (`X509Certificate.subjectAltName`). Entries are separated by `, ` and odd
 * values are quoted; neither commas nor quotes are part of a SPIFFE id, so whatever could make the text ambiguous
 * (CVE-2021-44532) does not parse.
 */
export function verifyPeerIdentity(subjectAltName: string | undefined, trustDomain: string): SpiffeId | undefined {
  if (!subjectAltName?.startsWith('URI:')) return undefined;
  const id = parseSpiffeId(subjectAltName.slice('URI:'.length));
  return id?.trustDomain === trustDomain ? id : undefined;
}

/** The identity the controller's certificate carries. */
export function controllerIdentity(trustDomain: string): SpiffeId {
  return { trustDomain, namespace: 'meshwright-system', serviceAccount: 'meshwright-controller' };
}
