import type { Finding, Severity } from './finding.ts';

interface CatalogueEntry {
  readonly severity: Severity;
  /** What this finding means, for docs and `--help`. */
  readonly title: string;
}

/**
 * Every finding there is. Ids are API: never reuse one. 10xx manifests, 11xx mesh and services, 12xx routes,
 * 13xx policies, 14xx gateways, 15xx running locally, 16xx identity, 17xx discovery, 18xx command line.
 */
export const catalogue = {
  MW1001: { severity: 'error', title: 'a manifest cannot be parsed' },
  MW1002: { severity: 'error', title: 'an object does not fit its schema' },
  MW1003: { severity: 'warning', title: 'an object of an unknown kind is ignored' },
  MW1004: { severity: 'error', title: 'two objects have the same identity' },
  MW1101: { severity: 'error', title: 'more than one Mesh object' },
  MW1102: { severity: 'error', title: 'two workloads have the same name' },
  MW1103: { severity: 'warning', title: 'an appProtocol is not known' },
  MW1104: { severity: 'warning', title: 'a workload calls a service that is not there' },
  MW1105: { severity: 'error', title: 'services declare different protocols for one container port' },
  MW1106: { severity: 'warning', title: 'a service selects no workload' },
  MW1201: { severity: 'error', title: 'the parent of a route is not there' },
  MW1202: { severity: 'error', title: 'the backend of a route cannot be resolved' },
  MW1203: { severity: 'error', title: 'a route does not fit the protocol of its parent' },
  MW1204: { severity: 'error', title: 'two routes have the same match on the same parent' },
  MW1205: { severity: 'warning', title: 'a match can never be reached' },
  MW1206: { severity: 'error', title: 'a route of another namespace than its Service' },
  MW1207: { severity: 'error', title: 'a rule of a route cannot be carried out' },
  MW1301: { severity: 'error', title: 'the target of a policy is not there' },
  MW1302: { severity: 'error', title: 'two policies claim the same target' },
  MW1303: { severity: 'warning', title: 'an access rule names nobody' },
  MW1304: { severity: 'error', title: 'an access rule cannot be carried out' },
  MW1305: { severity: 'warning', title: 'an access policy protects nothing' },
  MW1401: { severity: 'error', title: 'a listener cannot be served' },
  MW1402: { severity: 'warning', title: 'no workload serves a gateway' },
  MW1403: { severity: 'error', title: 'no listener of the gateway takes a route' },
  MW1501: { severity: 'error', title: 'a bootstrap document of a sidecar is wrong' },
} as const satisfies Record<string, CatalogueEntry>;

export type FindingId = keyof typeof catalogue;

/** Makes a finding of the catalogue. */
export function finding(
  id: FindingId,
  details: Pick<Finding, 'message' | 'hint' | 'object' | 'construct'> & { readonly severity?: Severity },
): Finding {
  return { id, severity: catalogue[id].severity, ...details };
}
