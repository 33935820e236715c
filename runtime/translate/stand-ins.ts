import {
  apiVersions,
  type DeploymentObject,
  type EndpointSliceObject,
  type KubernetesObject,
  labels,
  namespaceOf,
  type PodObject,
  type ServiceObject,
  sidecarProxy,
  wantsProxy,
} from '../resources/index.ts';

type Labels = Readonly<Record<string, string>>;

/** One endpoint of a Service. */
interface Place {
  readonly address: string;
  readonly pod?: PodObject;
}

/**
 * What a cluster adds to manifests, so that a decision can be made without one: a ready Pod for each replica of a
 * Deployment, and the EndpointSlices of each Service.
 */
export function standIns(objects: readonly KubernetesObject[]): readonly KubernetesObject[] {
  const services = objects.filter((object) => object.kind === 'Service');
  const deployments = objects.filter((object) => object.kind === 'Deployment');
  const namespaces = objects.filter((object) => object.kind === 'Namespace');
  const namespaceLabels = new Map(namespaces.map(({ metadata }) => [metadata.name, metadata.labels]));
  const places = deployments
    .flatMap((deployment) => podsOf(deployment, namespaceLabels.get(namespaceOf(deployment))))
    .map((pod, index): Place => ({ address: address(0, index), pod }));
  const slices = services.map((service, index) => {
    const ours = deployments.some(({ metadata, spec }) =>
      selects(service, metadata.namespace, spec.template.metadata?.labels),
    );
    const behind = places.filter(({ pod }) => pod && selects(service, pod.metadata.namespace, pod.metadata.labels));
    // Pods of somebody else: all that is known is that there will be some.
    return sliceOf(service, ours ? behind : [{ address: address(1, index) }]);
  });
  return [...places.flatMap(({ pod }) => pod ?? []), ...slices];
}

function podsOf({ metadata, spec }: DeploymentObject, namespaceLabels: Labels = {}): readonly PodObject[] {
  const ownLabels = spec.template.metadata?.labels ?? {};
  const podLabels = wantsProxy(ownLabels, namespaceLabels) ? { ...ownLabels, [labels.proxy]: sidecarProxy } : ownLabels;
  return Array.from({ length: spec.replicas ?? 1 }, (_, index) => ({
    apiVersion: apiVersions.core,
    kind: 'Pod',
    metadata: {
      name: `${metadata.name}-${index}`,
      namespace: metadata.namespace,
      labels: podLabels,
      ownerReferences: [{ kind: 'Deployment', name: metadata.name, controller: true }],
    },
    spec: spec.template.spec,
  }));
}

function sliceOf(service: ServiceObject, places: readonly Place[]): EndpointSliceObject {
  const { name, namespace } = service.metadata;
  return {
    apiVersion: apiVersions.discovery,
    kind: 'EndpointSlice',
    metadata: { name, namespace, labels: { [labels.serviceName]: name } },
    addressType: 'IPv4',
    endpoints: places.map(({ address, pod }) => ({
      addresses: [address],
      conditions: { ready: true },
      ...(pod && { targetRef: { kind: 'Pod', name: pod.metadata.name, namespace } }),
    })),
    ports: (service.spec.ports ?? []).map(({ name, port, targetPort }) => ({
      name,
      port: typeof targetPort === 'number' ? targetPort : port,
    })),
  };
}

function selects(service: ServiceObject, namespace: string | undefined, labels: Record<string, string> = {}): boolean {
  const selector = Object.entries(service.spec.selector ?? {});
  const matches = selector.every(([label, value]) => labels[label] === value);
  return selector.length > 0 && matches && namespaceOf(service) === (namespace ?? 'default');
}

function address(network: number, index: number): string {
  return `10.${network}.${index >> 8}.${index & 255}`;
}
