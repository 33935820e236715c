import { bootstrapVariable, type Finding } from '../model/index.ts';
import { labels, proxyContainer, workloadName } from '../resources/index.ts';
import type { ContainerView, PodView } from './pod-view.ts';
import type { InjectionSettings } from './settings.ts';

type Labels = Readonly<Record<string, string>>;

/** What besides the pod decides what becomes of it. */
export interface InjectionRequest {
  readonly settings: InjectionSettings;
  /** Where the pod is to run. @default - what its metadata say, else `default` */
  readonly namespace?: string;
  /** Labels of that namespace. @default - none */
  readonly namespaceLabels?: Labels;
  /** A proxy was asked for by command, not by label; a label can only refuse it. @default false */
  readonly explicit?: boolean;
  /** Name of its workload, where no label tells. @default - as the pod's owner tells */
  readonly workload?: string;
  /** What findings call it: `Deployment shop/reviews`. @default - the pod with its name */
  readonly place?: string;
}

/** A pod that is asked about. */
export interface Subject {
  readonly pod: PodView;
  readonly namespace: string;
  readonly labels: Labels;
  readonly request: InjectionRequest;
  readonly place: string;
  /** Name of its workload. */
  readonly workload: string;
  /** The container that a Gateway of ours runs; it is the proxy itself. */
  readonly gatewayProxy: ContainerView | undefined;
  /** The sidecar that it has already. */
  readonly sidecar: ContainerView | undefined;
}

/** Why a pod gets no proxy; `findings`: what its owner should know about that. */
export interface Refusal {
  readonly reason: string;
  readonly findings?: readonly Finding[];
}

export function subjectOf(pod: PodView, request: InjectionRequest): Subject {
  const { name, generateName, labels: podLabels = {} } = pod.metadata;
  const namespace = request.namespace ?? pod.metadata.namespace ?? 'default';
  const isProxy = (container: ContainerView) => container.name === proxyContainer;
  return {
    pod,
    namespace,
    labels: podLabels,
    request,
    workload: podLabels[labels.workload] || request.workload || workloadName(pod),
    place: request.place ?? `Pod ${namespace}/${name ?? generateName ?? ''}`,
    gatewayProxy: labels.gatewayName in podLabels ? pod.spec.containers.find(isProxy) : undefined,
    sidecar: pod.spec.initContainers?.find(
      (container) => isProxy(container) && container.env?.some((variable) => variable.name === bootstrapVariable),
    ),
  };
}
