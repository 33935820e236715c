import { readFile } from 'node:fs/promises';
import { FindingsError, finding, type QualifiedName } from '../model/index.ts';

/** An address to listen on or connect to, as `host:port`. */
export type HostPort = string;

/** Takes connections of peers for one port of the application. */
export interface InboundListener {
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
    readonly bundle: string;
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
  readonly admin: HostPort;
  /** Keeps the last good configuration and certificate, so that a restart does not need the controller. */
  readonly stateDir: string;
  /** A file, or `-` for standard output; absent means none. */
  readonly accessLog?: string;
}

/** Splits `host:port`; the host may be an IPv6 address in brackets. */
export function parseHostPort(text: HostPort): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) throw new Error(`expected host:port, got "${text}"`);
  return { host: match[1] ?? match[2], port };
}

type Check = (value: unknown) => boolean;
const isString: Check = (value) => typeof value === 'string' && value !== '';
const isPort: Check = (value) => Number.isInteger(value) && Number(value) > 0 && Number(value) <= 65_535;
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

const fields: Record<keyof Bootstrap, { readonly check: Check; readonly expected: string }> = {
  id: { check: isString, expected: 'a non-empty string' },
  namespace: { check: isString, expected: 'a non-empty string' },
  serviceAccount: { check: isString, expected: 'a non-empty string' },
  workload: { check: (value) => isString(value) && /^[^/]+\/[^/]+$/.test(String(value)), expected: 'namespace/name' },
  trustDomain: { check: isString, expected: 'a non-empty string' },
  zone: { check: optional(isString), expected: 'a non-empty string' },
  controller: {
    check: shape({ address: isHostPort, bundle: isString }),
    expected: '{ address: host:port, bundle: PEM }',
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
  admin: { check: isHostPort, expected: 'host:port' },
  stateDir: { check: isString, expected: 'a path' },
  accessLog: { check: optional(isString), expected: 'a path, or - for standard output' },
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

/** Reads and checks a bootstrap file. */
export async function readBootstrap(path: string): Promise<Bootstrap> {
  const text = await readFile(path, 'utf8');
  try {
    return parseBootstrap(JSON.parse(text), path);
  } catch (error) {
    if (error instanceof FindingsError) throw error;
    throw new FindingsError([
      finding('MW1501', {
        object: path,
        message: `not JSON: ${(error as Error).message}`,
        hint: 'start the mesh again to have it written anew',
      }),
    ]);
  }
}
