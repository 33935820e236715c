import { bootstrapVariable } from '../model/index.ts';
import { proxyContainer } from '../resources/index.ts';
import { podVariables } from './bootstrap.ts';
import type { ProxyOptions, ProxyResources } from './proxy-options.ts';
import { parseQuantity } from './quantity.ts';
import { type InjectionSettings, proxyPorts, proxyUser, proxyVolumeMounts, redirectContainer } from './settings.ts';

export interface Variable {
  readonly name: string;
  readonly [field: string]: unknown;
}

const readyCheck = { httpGet: { path: '/ready', port: proxyPorts.admin } };
/** The app starts when this succeeds, so it is made often; after ten minutes the proxy is started anew. */
export const startupProbe = { ...readyCheck, periodSeconds: 1, failureThreshold: 600 };
export const readinessProbe = { ...readyCheck, periodSeconds: 5 };

/** Why one of ours failed is seen in the pod itself. */
const terminationMessagePolicy = 'FallbackToLogsOnError';

const confinement = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  seccompProfile: { type: 'RuntimeDefault' },
};

export const proxySecurity = {
  ...confinement,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  runAsUser: proxyUser,
  runAsGroup: proxyUser,
};

/** Has the kernel lead the connections of the pod to its proxy, and ends. */
export function redirectOf(options: ProxyOptions, { image }: InjectionSettings): Record<string, unknown> {
  return {
    name: redirectContainer,
    image,
    imagePullPolicy: 'IfNotPresent',
    args: redirectArguments(options),
    resources: options.resources,
    terminationMessagePolicy,
    securityContext: {
      ...confinement,
      capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] },
      runAsNonRoot: false,
      runAsUser: 0,
      runAsGroup: 0,
    },
  };
}

/** A native sidecar: it starts before the app, and ends after it. */
export function sidecarOf(
  bootstrap: string,
  options: ProxyOptions,
  settings: InjectionSettings,
): Record<string, unknown> {
  return {
    name: proxyContainer,
    image: settings.image,
    imagePullPolicy: 'IfNotPresent',
    args: ['sidecar'],
    restartPolicy: 'Always',
    env: proxyVariables(bootstrap, options.resources.limits.memory, options.concurrency),
    resources: options.resources,
    startupProbe,
    readinessProbe,
    terminationMessagePolicy,
    securityContext: proxySecurity,
    volumeMounts: proxyVolumeMounts,
  };
}

/** @param memoryLimit - of the container, absent where it has none; its processes share it */
export function proxyVariables(
  bootstrap: string,
  memoryLimit: string | number | undefined,
  concurrency: number,
): readonly Variable[] {
  const options = heapOptions(memoryLimit, concurrency);
  return [
    ...podVariables,
    ...(options ? [{ name: 'NODE_OPTIONS', value: options }] : []),
    { name: bootstrapVariable, value: bootstrap },
  ];
}

/**
 * Bounds of the heap that leave room for what is not in it: code, buffers of connections, keys. Node would size its
 * heap by the node's memory. Two threads help compiling and collecting: the memory that each of four takes for it stays
 * with the process.
 */
function heapOptions(memoryLimit: string | number | undefined, concurrency: number): string | undefined {
  const bytes = memoryLimit === undefined ? undefined : parseQuantity(String(memoryLimit));
  if (!bytes) return undefined;
  const mebibytes = bytes / 2 ** 20 / concurrency;
  // They are filled under load only. Larger ones save no CPU, but fewer requests meet a collection (docs/performance.md).
  const young = Math.min(Math.max(Math.floor(mebibytes / 32), 1), 16);
  const old = Math.max(Math.floor(mebibytes / 2), 16);
  return `--max-old-space-size=${old} --max-semi-space-size=${young} --v8-pool-size=2`;
}

function redirectArguments(options: ProxyOptions): readonly string[] {
  const { inbound, outbound } = proxyPorts;
  const skipped = (flag: string, values: readonly unknown[]) => (values.length ? [flag, values.join(',')] : []);
  return [
    'redirect',
    ...['--proxy-uid', String(proxyUser)],
    ...['--inbound-port', String(inbound), '--outbound-port', String(outbound)],
    ...skipped('--skip-inbound-ports', options.skipInboundPorts),
    ...skipped('--skip-outbound-ports', options.skipOutboundPorts),
    ...skipped('--skip-outbound-cidrs', options.skipOutboundCidrs),
  ];
}

/** What a container of a gateway asks for, where it says nothing itself. */
export function resourcesOr(own: unknown, otherwise: ProxyResources): unknown {
  return own && Object.keys(own).length > 0 ? own : otherwise;
}
