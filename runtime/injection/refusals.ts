import { finding } from '../model/index.ts';
import { controlPlane, injectDisabled, injectEnabled, labels, proxyContainer } from '../resources/index.ts';
import type { ContainerView } from './pod-view.ts';
import { proxyPorts, proxyUser, proxyVolumes, redirectContainer } from './settings.ts';
import type { Refusal, Subject } from './subject.ts';

/** Namespaces whose pods never get a proxy: the cluster, and the mesh itself, must start without one. */
export const excludedNamespaces: readonly string[] = [
  'kube-system',
  'kube-public',
  'kube-node-lease',
  controlPlane.namespace,
];

/** On the API server's copy of a pod that a kubelet runs from a file. */
const mirrorAnnotation = 'kubernetes.io/config.mirror';

/** Why a pod gets no proxy, the first reason that there is; `undefined` where it gets one. */
export function refuse(subject: Subject): Refusal | undefined {
  for (const policy of policies) {
    const refusal = policy(subject);
    if (refusal) return refusal;
  }
  return undefined;
}

const policies: readonly ((subject: Subject) => Refusal | undefined)[] = [
  excludedNamespace,
  notAskedFor,
  staticPod,
  hostNetwork,
  windows,
  otherVersion,
  takenNames,
  takenUser,
];

function excludedNamespace({ namespace }: Subject): Refusal | undefined {
  if (!excludedNamespaces.includes(namespace)) return undefined;
  return { reason: `pods of namespace ${namespace} get no proxy` };
}

function notAskedFor({ labels: podLabels, request, place }: Subject): Refusal | undefined {
  const label = podLabels[labels.inject];
  if (label === injectEnabled) return undefined;
  if (label === injectDisabled) return { reason: `its label ${labels.inject} is ${injectDisabled}` };
  if (label !== undefined) {
    const message = `label ${labels.inject} is ${JSON.stringify(label)}; allowed are ${injectEnabled} and ${injectDisabled}`;
    const hint = 'correct the label, or leave it out to do as the namespace says';
    return { reason: message, findings: [finding('MW1904', { message, hint, object: place })] };
  }
  if (request.explicit || request.namespaceLabels?.[labels.inject] === injectEnabled) return undefined;
  return { reason: `neither it nor its namespace has the label ${labels.inject}: ${injectEnabled}` };
}

function staticPod({ pod }: Subject): Refusal | undefined {
  if (!(mirrorAnnotation in (pod.metadata.annotations ?? {}))) return undefined;
  return { reason: 'it is a static pod, which its node runs from a file' };
}

function hostNetwork({ pod, place }: Subject): Refusal | undefined {
  if (!pod.spec.hostNetwork) return undefined;
  return cannot(
    place,
    'it uses the network of its node (hostNetwork); a redirection would be for the whole node',
    `leave out hostNetwork, or say that it stays outside the mesh: label ${labels.inject}: ${injectDisabled}`,
  );
}

function windows({ pod: { spec }, place }: Subject): Refusal | undefined {
  const system = spec.os?.name ?? spec.nodeSelector?.['kubernetes.io/os'];
  if (system !== 'windows') return undefined;
  return cannot(
    place,
    'it runs on Windows, for which there is no proxy',
    `say that it stays outside the mesh: label ${labels.inject}: ${injectDisabled}`,
  );
}

/** Not an error, and the pod is left alone, but it is not in the mesh. */
function cannot(place: string, message: string, hint: string): Refusal {
  return { reason: message, findings: [finding('MW1901', { message, hint, object: place })] };
}

/** Such as was injected from a file; the one who did that knows which one they want. */
function otherVersion({ sidecar, request }: Subject): Refusal | undefined {
  if (!sidecar || sidecar.image === request.settings.image) return undefined;
  return { reason: `it has a proxy already: ${sidecar.image ?? 'without image'}, not ${request.settings.image}` };
}

function takenNames(subject: Subject): Refusal | undefined {
  const { pod, sidecar, gatewayProxy, place } = subject;
  const taken: { readonly what: string; readonly hint: string }[] = [];
  const volumes: readonly string[] = sidecar || gatewayProxy ? [] : proxyVolumes.map(({ name }) => name);
  for (const { name } of pod.spec.volumes ?? []) {
    if (volumes.includes(name)) taken.push({ what: `volume ${name}`, hint: 'rename the volume' });
  }
  for (const { name } of appContainers(subject)) {
    if (name !== proxyContainer && name !== redirectContainer) continue;
    taken.push({ what: `container ${name}`, hint: 'rename the container' });
  }
  const ports: readonly number[] = gatewayProxy ? [proxyPorts.admin] : Object.values(proxyPorts);
  for (const container of [...appContainers(subject), ...(gatewayProxy ? [gatewayProxy] : [])]) {
    for (const { containerPort, protocol = 'TCP' } of container.ports ?? []) {
      if (protocol !== 'TCP' || !ports.includes(containerPort)) continue;
      taken.push({ what: `port ${containerPort} of container ${container.name}`, hint: 'listen on another port' });
    }
  }
  if (taken.length === 0) return undefined;
  return {
    reason: `${taken.map(({ what }) => what).join(', ')}: the proxy needs that for itself`,
    findings: taken.map(({ what, hint }) =>
      finding('MW1902', { message: `${what} is what the proxy needs for itself`, hint, object: place }),
    ),
  };
}

function takenUser(subject: Subject): Refusal | undefined {
  const { pod, gatewayProxy, place } = subject;
  // Nothing is redirected at a gateway.
  if (gatewayProxy) return undefined;
  const taken = appContainers(subject).filter(
    ({ securityContext }) => (securityContext?.runAsUser ?? pod.spec.securityContext?.runAsUser) === proxyUser,
  );
  if (taken.length === 0) return undefined;
  return {
    reason: `container ${taken.map(({ name }) => name).join(', ')} runs as user ${proxyUser}, which is the proxy's`,
    findings: taken.map(({ name }) =>
      finding('MW1903', {
        message: `container ${name} runs as user ${proxyUser}; what it sends would be taken for the proxy's and leave past it`,
        hint: 'set another securityContext.runAsUser',
        object: place,
      }),
    ),
  };
}

/** All containers but those of injection. */
function appContainers({ pod, sidecar, gatewayProxy }: Subject): readonly ContainerView[] {
  const { containers, initContainers = [] } = pod.spec;
  return [
    ...initContainers.filter(({ name }) => !sidecar || (name !== proxyContainer && name !== redirectContainer)),
    ...containers.filter((container) => container !== gatewayProxy),
  ];
}
