import type { ProbeTargets } from './probes.ts';
import { type InjectionSettings, proxyFiles, proxyPorts } from './settings.ts';

/** What the proxy of a pod must know of it. */
export interface ProxyOfPod {
  readonly serviceAccount: string;
  /** Name of its workload, without the namespace. */
  readonly workload: string;
  readonly accessLog: boolean;
  /** Its processes. */
  readonly concurrency: number;
  /** Ports of the listeners it serves; it is a gateway's where there are any. */
  readonly gateway: readonly number[];
  readonly probes: ProbeTargets;
}

/** Variables that the kubelet sets from the pod. Injection knows none of them: a template is of many pods. */
export const podVariables = [
  { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
  { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
  { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
] as const;

/** The bootstrap document of a proxy. Kubernetes replaces `$(POD_NAME)` and the like in it. */
export function bootstrapText(proxy: ProxyOfPod, settings: InjectionSettings): string {
  const { inbound, outbound, admin } = proxyPorts;
  const isGateway = proxy.gateway.length > 0;
  const document = JSON.stringify({
    id: '$(POD_NAME).$(POD_NAMESPACE)',
    namespace: '$(POD_NAMESPACE)',
    serviceAccount: proxy.serviceAccount,
    workload: `$(POD_NAMESPACE)/${proxy.workload}`,
    trustDomain: settings.trustDomain,
    controller: { address: settings.controllerAddress, bundleFile: proxyFiles.bundle },
    tokenFile: proxyFiles.token,
    ...(!isGateway && {
      transparent: { inbound: `0.0.0.0:${inbound}`, outbound: `127.0.0.1:${outbound}`, podIp: '$(POD_IP)' },
    }),
    inbound: [],
    outbound: { services: [] },
    gateway: proxy.gateway.map((port) => ({ listen: `0.0.0.0:${port}`, port })),
    admin: `0.0.0.0:${admin}`,
    adminAddress: `$(POD_IP):${admin}`,
    stateDir: proxyFiles.state,
    ...(proxy.accessLog && { accessLog: '-' }),
    ...(proxy.concurrency > 1 && { concurrency: proxy.concurrency }),
  });
  return `${document.slice(0, -1)},"probes":${withoutVariables(proxy.probes)}}`;
}

/** JSON in which Kubernetes finds nothing to replace: the path of a probe may hold a dollar. */
function withoutVariables(value: unknown): string {
  return JSON.stringify(value).replaceAll('$', '\\u0024');
}
