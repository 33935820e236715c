/** The identity of a workload: `spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>`. */
export interface SpiffeId {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

const maxLength = 2048;
const shape = /^spiffe:\/\/([a-z0-9._-]{1,255})\/ns\/([A-Za-z0-9._-]+)\/sa\/([A-Za-z0-9._-]+)$/;

/** Reads an id of this mesh's form; `undefined` for anything else (SPIFFE-ID sections 2.1 to 2.3). */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (text.length > maxLength) return undefined;
  const match = shape.exec(text);
  if (!match) return undefined;
  const [, trustDomain, namespace, serviceAccount] = match;
  if ([namespace, serviceAccount].some((segment) => segment === '.' || segment === '..')) return undefined;
  return { trustDomain, namespace, serviceAccount };
}

export function formatSpiffeId(id: SpiffeId): string {
  return `spiffe://${id.trustDomain}/ns/${id.namespace}/sa/${id.serviceAccount}`;
}
