import { createHash } from 'node:crypto';
import {
  type Finding,
  finding,
  type Gateway,
  type QualifiedName,
  qualifiedName,
  type Resource,
  type Service,
  type Workload,
} from '../model/index.ts';
import {
  type Container,
  type DeploymentObject,
  describeObject,
  type KubernetesObject,
  labels,
  namespaceOf,
  type ObjectOfKind,
  type PodTemplate,
  wantsProxy,
} from '../resources/index.ts';

/** A port of a service that a pod may call. */
export interface OutboundPort {
  readonly service: QualifiedName;
  readonly port: number;
  readonly name: string;
}

/** A Service that selects a pod, with where its ports lead. */
interface SelectingService {
  readonly name: string;
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
}

/** The pods that one Deployment wants on this machine. */
export interface PodPlan {
  /** Name of the Workload resource. */
  readonly workload: QualifiedName;
  readonly deployment: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly trustDomain: string;
  readonly replicas: number;
  /** Changes with everything that a running pod cannot take over. */
  readonly revision: string;
  readonly template: PodTemplate;
  /** TCP ports of its containers. */
  readonly ports: readonly number[];
  /** Whether a sidecar stands beside it. */
  readonly inMesh: boolean;
  readonly outbound: readonly OutboundPort[];
  readonly selectedBy: readonly SelectingService[];
  /** Listener ports of the gateway whose proxy it is. */
  readonly gateway?: readonly number[];
}

export interface Plan {
  readonly pods: readonly PodPlan[];
  readonly findings: readonly Finding[];
}

/** Kinds that run pods on a cluster and do not here. */
const notRunHere: ReadonlySet<string> = new Set(['StatefulSet', 'DaemonSet', 'Job', 'CronJob']);

/** What must run for these objects. `resources` is their translation. */
export function planPods(objects: readonly KubernetesObject[], resources: readonly Resource[]): Plan {
  const findings: Finding[] = [];
  const pods: PodPlan[] = [];
  for (const object of objects) {
    if (notRunHere.has(object.kind)) findings.push(notRun(object));
    if (object.kind !== 'Deployment') continue;
    const plan = planDeployment(object, objects, resources);
    const mute = plan.gateway ? [] : object.spec.template.spec.containers.filter(({ command }) => !command?.length);
    for (const container of mute) findings.push(noCommand(object, container));
    if (mute.length === 0) pods.push(plan);
  }
  return { pods, findings };
}

function planDeployment(
  deployment: DeploymentObject,
  objects: readonly KubernetesObject[],
  resources: readonly Resource[],
): PodPlan {
  const { template } = deployment.spec;
  const namespace = namespaceOf(deployment);
  const podLabels = template.metadata?.labels ?? {};
  const name = qualifiedName(namespace, podLabels[labels.workload] ?? deployment.metadata.name);
  const workload = resources.find((one): one is Workload => one.kind === 'workload' && one.name === name);
  const gateway = resources.find((one): one is Gateway => one.kind === 'gateway' && one.name === workload?.gateway);
  const trustDomain = workload?.trustDomain ?? '';
  const outbound = workload?.gateway ? [] : outboundPorts(namespace, workload?.calls ?? [], resources);
  return {
    workload: name,
    deployment: deployment.metadata.name,
    namespace,
    serviceAccount: template.spec.serviceAccountName ?? 'default',
    trustDomain,
    // One address to send requests to is enough on one machine.
    replicas: gateway ? 1 : (deployment.spec.replicas ?? 1),
    revision: createHash('sha256')
      .update(JSON.stringify([template, outbound, trustDomain]))
      .digest('hex'),
    template,
    ports: containerPorts(template),
    inMesh: wantsProxy(podLabels, namespaceLabels(namespace, objects)),
    outbound,
    selectedBy: selectingServices(template, namespace, objects),
    ...(gateway ? { gateway: [...new Set(gateway.listeners.map(({ port }) => port))] } : {}),
  };
}

function namespaceLabels(name: string, objects: readonly KubernetesObject[]): Readonly<Record<string, string>> {
  return objects.find(({ kind, metadata }) => kind === 'Namespace' && metadata.name === name)?.metadata.labels ?? {};
}

/** As Kubernetes gives pods the addresses of their own namespace's services, unless the pod says what it calls. */
function outboundPorts(namespace: string, calls: Workload['calls'], resources: readonly Resource[]): OutboundPort[] {
  const reachable = resources.filter(
    (one): one is Service =>
      one.kind === 'service' && (calls === 'all' ? one.name.startsWith(`${namespace}/`) : calls.includes(one.name)),
  );
  return reachable.flatMap(({ name: service, ports }) => ports.map(({ port, name }) => ({ service, port, name })));
}

function selectingServices(
  template: PodTemplate,
  namespace: string,
  objects: readonly KubernetesObject[],
): SelectingService[] {
  const podLabels = template.metadata?.labels ?? {};
  const selects = (object: KubernetesObject): object is ObjectOfKind<'Service'> => {
    if (object.kind !== 'Service' || namespaceOf(object) !== namespace) return false;
    const selector = Object.entries(object.spec.selector ?? {});
    return selector.length > 0 && selector.every(([key, value]) => podLabels[key] === value);
  };
  return objects.filter(selects).map(({ metadata, spec }) => ({
    name: metadata.name,
    ports: (spec.ports ?? []).flatMap(({ name = '', port, targetPort = port }) => {
      const containerPort = typeof targetPort === 'number' ? targetPort : namedPort(template, targetPort);
      return containerPort === undefined ? [] : [{ name, containerPort }];
    }),
  }));
}

/** The number of a container's named port. */
export function namedPort({ spec }: PodTemplate, name: string): number | undefined {
  return spec.containers.flatMap(({ ports = [] }) => ports).find((port) => port.name === name)?.containerPort;
}

function containerPorts({ spec }: PodTemplate): number[] {
  const tcp = spec.containers.flatMap(({ ports = [] }) => ports).filter(({ protocol = 'TCP' }) => protocol === 'TCP');
  return [...new Set(tcp.map(({ containerPort }) => containerPort))];
}

function notRun(object: KubernetesObject): Finding {
  return finding('MW1517', {
    message: `a ${object.kind} is not run on one machine; only Deployments are`,
    hint: 'make it a Deployment, or start it yourself',
    object: describeObject(object),
  });
}

function noCommand(deployment: DeploymentObject, container: Container): Finding {
  return finding('MW1512', {
    message: `container ${container.name} has no command, and the image ${container.image ?? ''} is not pulled here`,
    hint: "say how to start it without an image: command: ['node', 'services/reviews.ts']",
    object: describeObject(deployment),
    construct: deployment.metadata.annotations?.['meshwright.dev/construct-path'],
  });
}
