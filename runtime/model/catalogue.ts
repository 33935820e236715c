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
  MW1005: { severity: 'error', title: 'a manifest cannot be read' },
  MW1006: { severity: 'error', title: 'the mesh cannot be translated' },
  MW1101: { severity: 'error', title: 'more than one Mesh object' },
  MW1102: { severity: 'error', title: 'two workloads have the same name' },
  MW1103: { severity: 'warning', title: 'an appProtocol is not known' },
  MW1104: { severity: 'warning', title: 'a workload calls a service that is not there' },
  MW1105: { severity: 'error', title: 'services declare different protocols for one container port' },
  MW1106: { severity: 'warning', title: 'a service selects no workload' },
  MW1131: { severity: 'error', title: 'a trust domain is invalid' },
  MW1132: { severity: 'error', title: 'a name is not a DNS label' },
  MW1133: { severity: 'error', title: 'two constructs make the same object' },
  MW1134: { severity: 'error', title: 'a service has no ports' },
  MW1135: { severity: 'error', title: 'a port number is out of range' },
  MW1136: { severity: 'error', title: 'a port name is invalid' },
  MW1137: { severity: 'error', title: 'two ports of a service have the same number' },
  MW1138: { severity: 'error', title: 'a service has nothing that runs it' },
  MW1139: { severity: 'error', title: 'a number of replicas is invalid' },
  MW1140: { severity: 'error', title: 'an environment variable is invalid' },
  MW1141: { severity: 'error', title: 'a call goes to a service outside the tree' },
  MW1142: { severity: 'error', title: 'a label is invalid' },
  MW1143: { severity: 'error', title: 'a version is named twice' },
  MW1201: { severity: 'error', title: 'the parent of a route is not there' },
  MW1202: { severity: 'error', title: 'the backend of a route cannot be resolved' },
  MW1203: { severity: 'error', title: 'a route does not fit the protocol of its parent' },
  MW1204: { severity: 'error', title: 'two routes have the same match on the same parent' },
  MW1205: { severity: 'warning', title: 'a match can never be reached' },
  MW1206: { severity: 'error', title: 'a route of another namespace than its Service' },
  MW1207: { severity: 'error', title: 'a rule of a route cannot be carried out' },
  MW1231: { severity: 'error', title: 'a route has no rules' },
  MW1232: { severity: 'error', title: 'a rule has no target' },
  MW1233: { severity: 'error', title: 'a weight is invalid' },
  MW1234: { severity: 'error', title: 'all weights of a rule are zero' },
  MW1235: { severity: 'error', title: 'a route refers to a service or gateway outside the tree' },
  MW1236: { severity: 'error', title: 'the port of a target is not clear' },
  MW1237: { severity: 'error', title: 'a route is on a port of another protocol' },
  MW1238: { severity: 'error', title: 'two rules match the same requests' },
  MW1239: { severity: 'warning', title: 'which of two rules decides a request is not stated' },
  MW1240: { severity: 'warning', title: 'requests that no rule matches are answered 404' },
  MW1241: { severity: 'error', title: 'a path is invalid' },
  MW1242: { severity: 'error', title: 'a header or query parameter is invalid' },
  MW1243: { severity: 'error', title: 'a regular expression is invalid or unsafe' },
  MW1244: { severity: 'error', title: 'conditions of a rule contradict each other' },
  MW1245: { severity: 'error', title: 'a duration is invalid' },
  MW1246: { severity: 'error', title: 'a retry is invalid' },
  MW1247: { severity: 'error', title: 'a redirect is invalid' },
  MW1248: { severity: 'error', title: 'a prefix is replaced where none is matched' },
  MW1249: { severity: 'error', title: 'a mirrored share is invalid' },
  MW1250: { severity: 'error', title: 'a host name is invalid' },
  MW1251: { severity: 'error', title: 'a route reaches into another namespace' },
  MW1252: { severity: 'error', title: 'a rule name is invalid or used twice' },
  MW1301: { severity: 'error', title: 'the target of a policy is not there' },
  MW1302: { severity: 'error', title: 'two policies claim the same target' },
  MW1303: { severity: 'warning', title: 'an access rule names nobody' },
  MW1304: { severity: 'error', title: 'an access rule cannot be carried out' },
  MW1305: { severity: 'warning', title: 'an access policy protects nothing' },
  MW1331: { severity: 'error', title: 'an access policy has no rules' },
  MW1332: { severity: 'error', title: 'an access rule names nobody' },
  MW1333: { severity: 'error', title: 'the identity of a caller is not known' },
  MW1334: { severity: 'error', title: 'a policy refers to a service outside the tree' },
  MW1335: { severity: 'error', title: 'two load balancing policies hold for one service' },
  MW1336: { severity: 'error', title: 'an operation restricts nothing' },
  MW1337: { severity: 'warning', title: 'a declared call is never allowed' },
  MW1338: { severity: 'error', title: 'a port that is not HTTP has no methods and paths' },
  MW1339: { severity: 'error', title: 'a policy reaches into another namespace' },
  MW1401: { severity: 'error', title: 'a listener cannot be served' },
  MW1402: { severity: 'warning', title: 'no workload serves a gateway' },
  MW1403: { severity: 'error', title: 'no listener of the gateway takes a route' },
  MW1431: { severity: 'error', title: 'a gateway has no listeners' },
  MW1432: { severity: 'error', title: 'two listeners of a gateway are the same' },
  MW1433: { severity: 'warning', title: 'a gateway leads nowhere' },
  MW1501: { severity: 'error', title: 'a bootstrap document of a sidecar is wrong' },
  MW1601: { severity: 'error', title: 'the trust domain changed while the controller runs' },
  MW1701: { severity: 'error', title: 'a discovery resource cannot be read' },
  MW1702: { severity: 'error', title: 'a proxy cannot apply an update' },
  MW1703: { severity: 'error', title: 'a proxy refused an update' },
} as const satisfies Record<string, CatalogueEntry>;

export type FindingId = keyof typeof catalogue;

/** Makes a finding of the catalogue. */
export function finding(
  id: FindingId,
  details: Pick<Finding, 'message' | 'hint' | 'object' | 'construct'> & { readonly severity?: Severity },
): Finding {
  return { id, severity: catalogue[id].severity, ...details };
}
