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
