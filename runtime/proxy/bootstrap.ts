import { readFile } from 'node:fs/promises';
import { isIP, isIPv6 } from 'node:net';
import { FindingsError, finding, type QualifiedName } from '../model/index.ts';

/** An address to listen on or connect to, as `host:port`. */
export type HostPort = string;

/** Takes connections of peers for one port of the application. */
interface InboundListener {
  readonly listen: HostPort;
  /** The container's port, as the Workload resource names it. */
  readonly port: number;
  /** Where the application listens. */
  readonly app: HostPort;
}

/** Takes the application's own connections to one port of a service. */
interface OutboundListener {
  readonly listen: HostPort;
  readonly service: QualifiedName;
  readonly port: number;
}

/** Takes connections from outside the mesh for one listener of a gateway. */
interface GatewayBinding {
  readonly listen: HostPort;
  /** The port of the Gateway's listener. */
  readonly port: number;
}

/** Connections of and to the application are redirected to the proxy, which asks the kernel where they were meant to go. */
export interface TransparentListeners {
  /** Takes connections to any port of the pod. */
  readonly inbound: HostPort;
  /** Takes the connections that the application makes. */
  readonly outbound: HostPort;
  /** Where the application listens, whatever the port. */
  readonly podIp: string;
}

/** A check of the application's health, made as the kubelet would make it. */
export interface Probe {
  readonly kind: 'http' | 'tcp' | 'grpc';
  readonly port: number;
  /** Default: the pod itself. */
  readonly host?: string;
  /** For `http`; `/` by default. */
  readonly path?: string;
  /** For `http`; `HTTP` by default. Certificates are not verified, as the kubelet does not. */
  readonly scheme?: 'HTTP' | 'HTTPS';
  /** For `http`: header fields, name and value. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  /** For `grpc`: the service that is asked after; the whole server by default. */
  readonly service?: string;
  /** Milliseconds. */
  readonly timeoutMs: number;
}

/** What a sidecar must know before it can ask the controller for the rest. */
export interface Bootstrap {
  /** Unique in the mesh, for example `reviews-v1-0.shop`. */
  readonly id: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Name of its Workload resource. */
  readonly workload: QualifiedName;
  readonly trustDomain: string;
  /** The zone the pod runs in. Absent: that of the Workload resource, if it has one. */
  readonly zone?: string;
  readonly controller: {
    readonly address: HostPort;
    /** PEM certificates that the controller's certificate must chain to. */
    readonly bundle?: string;
    /** A file of such certificates, read again at each connection; stands in for {@link bundle}. */
    readonly bundleFile?: string;
  };
  /** Holds the token that proves who this workload is; read again at each renewal. */
  readonly tokenFile: string;
  readonly inbound: readonly InboundListener[];
  readonly outbound: {
    /** An HTTP forward proxy (absolute-form and CONNECT) for applications that honour `HTTP_PROXY`. */
    readonly proxy?: HostPort;
    readonly services: readonly OutboundListener[];
  };
  readonly gateway: readonly GatewayBinding[];
  /** On Kubernetes, where nobody has to know of the proxy. */
  readonly transparent?: TransparentListeners;
  readonly admin: HostPort;
  /** Where the controller reaches the admin port, where that is not {@link admin}. */
  readonly adminAddress?: HostPort;
  /** Served as `GET /probe/<key>` on the admin port. */
  readonly probes?: Readonly<Record<string, Probe>>;
  /** Keeps the last good configuration and certificate, so that a restart does not need the controller. */
  readonly stateDir: string;
  /** A file, or `-` for standard output; absent means none. */
  readonly accessLog?: string;
  /** Processes that share its connections: 1 where absent. */
  readonly concurrency?: number;
}

/**
 * Splits `host:port`. An IPv6 address stands in brackets, or without them where it was put in for a variable (as
 * Kubernetes does with `$(POD_IP)`).
 */
export function parseHostPort(text: HostPort): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^[\]\s]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  const isAddress6 = match?.[1] !== undefined || host.includes(':');
  if (!match || port > 65_535 || (isAddress6 && !isIPv6(host))) throw new Error(`expected host:port, got "${text}"`);
  return { host, port };
}

type Check = (value: unknown) => boolean;
const isString: Check = (value) => typeof value === 'string' && value !== '';
const isPort: Check = (value) => Number.isInteger(value) && Number(value) > 0 && Number(value) <= 65_535;
/** Processes of one proxy at most: those of the largest machines. */
const mostWorkers = 64;
const isConcurrency: Check = (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= mostWorkers;
const isHostPort: Check = (value) => {
  try {
    parseHostPort(value as string);
    return typeof value === 'string';
  } catch {
    return false;
  }
};
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const shape =
  (fields: Record<string, Check>): Check =>
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries(fields).every(([name, check]) => check((value as Record<string, unknown>)[name]));
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);

const recordOf =
  (check: Check): Check =>
  (value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every(check);
const oneOf =
  (...values: readonly string[]): Check =>
  (value) =>
    values.includes(value as string);
const isController: Check = (value) => {
  if (!shape({ address: isHostPort, bundle: optional(isString), bundleFile: optional(isString) })(value)) return false;
  const { bundle, bundleFile } = value as Bootstrap['controller'];
  return (bundle === undefined) !== (bundleFile === undefined);
};
const isProbe = shape({
  kind: oneOf('http', 'tcp', 'grpc'),
  port: isPort,
  host: optional(isString),
  path: optional(isString),
  scheme: optional(oneOf('HTTP', 'HTTPS')),
  headers: optional(
    listOf((pair) => Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === 'string')),
  ),
  service: optional((value) => typeof value === 'string'),
  timeoutMs: (value) => Number.isInteger(value) && Number(value) > 0,
});

const fields: Record<keyof Bootstrap, { readonly check: Check; readonly expected: string }> = {
  id: { check: isString, expected: 'a non-empty string' },
  namespace: { check: isString, expected: 'a non-empty string' },
  serviceAccount: { check: isString, expected: 'a non-empty string' },
  workload: { check: (value) => isString(value) && /^[^/]+\/[^/]+$/.test(String(value)), expected: 'namespace/name' },
  trustDomain: { check: isString, expected: 'a non-empty string' },
  zone: { check: optional(isString), expected: 'a non-empty string' },
  controller: {
    check: isController,
    expected: '{ address: host:port } with either bundle: PEM or bundleFile: a path',
  },
  tokenFile: { check: isString, expected: 'a path' },
  inbound: {
    check: listOf(shape({ listen: isHostPort, port: isPort, app: isHostPort })),
    expected: 'a list of { listen, port, app }',
  },
  outbound: {
    check: shape({
      proxy: optional(isHostPort),
      services: listOf(shape({ listen: isHostPort, service: isString, port: isPort })),
    }),
    expected: '{ proxy?, services: [{ listen, service, port }] }',
  },
  gateway: { check: listOf(shape({ listen: isHostPort, port: isPort })), expected: 'a list of { listen, port }' },
  transparent: {
    check: optional(shape({ inbound: isHostPort, outbound: isHostPort, podIp: (value) => isIP(String(value)) > 0 })),
    expected: '{ inbound: host:port, outbound: host:port, podIp: an address }',
  },
  admin: { check: isHostPort, expected: 'host:port' },
  adminAddress: { check: optional(isHostPort), expected: 'host:port' },
  probes: {
    check: optional(recordOf(isProbe)),
    expected:
      'a map of { kind: http, tcp or grpc, port, host?, path?, scheme?: HTTP or HTTPS, headers?, service?, timeoutMs }',
  },
  stateDir: { check: isString, expected: 'a path' },
  accessLog: { check: optional(isString), expected: 'a path, or - for standard output' },
  concurrency: { check: optional(isConcurrency), expected: `a whole number from 1 to ${mostWorkers}` },
};

/** Checks a bootstrap document. Throws a {@link FindingsError} with everything that is wrong. */
export function parseBootstrap(value: unknown, source: string): Bootstrap {
  const document = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const problems = Object.entries(fields).flatMap(([name, { check, expected }]) =>
    check(document[name])
      ? []
      : [
          finding('MW1501', {
            object: source,
            message: `"${name}" must be ${expected}, got ${JSON.stringify(document[name])?.slice(0, 120)}`,
            hint: 'sidecars are given this file by `meshwright up` or by injection; do not write it by hand',
          }),
        ],
  );
  if (problems.length > 0) throw new FindingsError(problems);
  return document as unknown as Bootstrap;
}

/** Reads and checks the text of a bootstrap document; `source` is where it comes from. */
export function parseBootstrapText(text: string, source: string): Bootstrap {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FindingsError([
      finding('MW1501', {
        object: source,
        message: `not JSON: ${(error as Error).message}`,
        hint: 'start the mesh or the pod again to have it written anew',
      }),
    ]);
  }
  return parseBootstrap(value, source);
}

/** Reads and checks a bootstrap file. */
export async function readBootstrap(path: string): Promise<Bootstrap> {
  return parseBootstrapText(await readFile(path, 'utf8'), path);
}
