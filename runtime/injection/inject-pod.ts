import { type Finding, finding } from '../model/index.ts';
import { labels, proxyContainer, sidecarProxy } from '../resources/index.ts';
import { bootstrapText } from './bootstrap.ts';
import {
  proxySecurity,
  proxyVariables,
  readinessProbe,
  redirectOf,
  resourcesOr,
  sidecarOf,
  startupProbe,
} from './containers.ts';
import { type Named, placeNamed } from './named.ts';
import { type ContainerView, podView, type RawPod } from './pod-view.ts';
import { knownTargets, type ProbeTargets, rewriteProbes } from './probes.ts';
import { type ProxyOptions, readProxyOptions } from './proxy-options.ts';
import { refuse } from './refusals.ts';
import { proxyVolumeMounts, proxyVolumes } from './settings.ts';
import { type InjectionRequest, type Subject, subjectOf } from './subject.ts';

/** What becomes of a pod. */
export type Injection =
  | { readonly kind: 'injected'; readonly pod: RawPod }
  | {
      readonly kind: 'skipped';
      /** Why, as a clause about the pod: `it uses the network of its node`. */
      readonly reason: string;
      /** What its owner should know. An error among them: it was to get a proxy and must not run without one. */
      readonly findings: readonly Finding[];
    };

type Raw = Readonly<Record<string, unknown>>;

/**
 * Puts a proxy beside the containers of a pod, or completes the one that is a gateway. Everything else of the pod stays
 * as it is, and a pod that has been through this comes out the same.
 *
 * @param pod - a Pod or the template of one
 */
export function injectPod(pod: RawPod, request: InjectionRequest): Injection {
  const parsed = podView.safeParse(pod);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const message = `${issue.path.join('.')}: ${issue.message.charAt(0).toLowerCase()}${issue.message.slice(1)}`;
    const object = request.place ?? 'Pod';
    return skipped(message, [finding('MW1002', { message, hint: 'correct the field', object })]);
  }
  const subject = subjectOf(parsed.data, request);
  const refusal = refuse(subject);
  if (refusal) return skipped(refusal.reason, refusal.findings);
  const { options, findings } = readProxyOptions(parsed.data.metadata.annotations ?? {}, subject.place);
  if (findings.length > 0) return skipped(findings.map(({ message }) => message).join('; '), findings);
  const complete = subject.gatewayProxy ? completeGateway : addSidecar;
  return { kind: 'injected', pod: complete(pod, subject, options) };
}

function skipped(reason: string, findings: readonly Finding[] = []): Injection {
  return { kind: 'skipped', reason, findings };
}

function addSidecar(pod: RawPod, subject: Subject, options: ProxyOptions): RawPod {
  const { settings } = subject.request;
  const spec = pod.spec as Raw;
  const view = subject.pod.spec;
  const known = knownTargets(subject.sidecar);
  const targets: Record<string, ProbeTargets[string]> = {};
  const rewrite = (raw: readonly Raw[], views: readonly ContainerView[]) =>
    raw.map((container, index) => {
      if (views[index] === subject.sidecar) return container;
      const rewritten = rewriteProbes(container, views[index], known);
      Object.assign(targets, rewritten.targets);
      return rewritten.container;
    });
  const initContainers = rewrite(listOf(spec.initContainers), view.initContainers ?? []);
  const containers = rewrite(listOf(spec.containers), view.containers);
  const bootstrap = bootstrapText({ ...identityOf(subject, options), gateway: [], probes: targets }, settings);
  const proxy = [redirectOf(options, settings), sidecarOf(bootstrap, options, settings)];
  return {
    ...pod,
    metadata: labelled(pod, subject, { [labels.proxy]: sidecarProxy }),
    spec: {
      ...spec,
      initContainers: placeNamed<Raw & Named>(initContainers, proxy, 'first'),
      containers,
      volumes: placeNamed<Raw & Named>(listOf(spec.volumes), proxyVolumes, 'last'),
    },
  };
}

/** What a gateway's container says itself is kept: its image, ports, resources. */
function completeGateway(pod: RawPod, subject: Subject, options: ProxyOptions): RawPod {
  const spec = pod.spec as Raw;
  const proxy = subject.gatewayProxy!;
  const ports = (proxy.ports ?? []).filter(({ protocol = 'TCP' }) => protocol === 'TCP');
  const gateway = [...new Set(ports.map(({ containerPort }) => containerPort))];
  const identity = identityOf(subject, options);
  const bootstrap = bootstrapText({ ...identity, gateway, probes: {} }, subject.request.settings);
  const complete = (raw: Raw): Raw => {
    const resources = resourcesOr(raw.resources, options.resources) as NonNullable<ContainerView['resources']>;
    return {
      ...raw,
      env: placeNamed<Named>(
        listOf(raw.env),
        proxyVariables(bootstrap, resources.limits?.memory, options.concurrency),
        'last',
      ),
      resources,
      startupProbe: raw.startupProbe ?? startupProbe,
      readinessProbe: raw.readinessProbe ?? readinessProbe,
      securityContext: { ...proxySecurity, ...(raw.securityContext as Raw | undefined) },
      volumeMounts: placeNamed<Named>(listOf(raw.volumeMounts), proxyVolumeMounts, 'last'),
    };
  };
  return {
    ...pod,
    metadata: labelled(pod, subject, {}),
    spec: {
      ...spec,
      containers: listOf(spec.containers).map((raw) => (raw.name === proxyContainer ? complete(raw) : raw)),
      volumes: placeNamed<Raw & Named>(listOf(spec.volumes), proxyVolumes, 'last'),
      ...(gateway.some((port) => port < 1024) && { securityContext: withLowPorts(spec.securityContext) }),
    },
  };
}

function identityOf({ pod, workload, request }: Subject, options: ProxyOptions) {
  return {
    serviceAccount: pod.spec.serviceAccountName || pod.spec.serviceAccount || 'default',
    workload,
    accessLog: options.accessLog ?? request.settings.accessLog,
    concurrency: options.concurrency,
  };
}

function labelled(pod: RawPod, subject: Subject, added: Readonly<Record<string, string>>): Raw {
  const metadata = (pod.metadata ?? {}) as Raw;
  // A longer name cannot be a label; then it is taken from the owner.
  const named = subject.workload.length <= 63 ? { [labels.workload]: subject.workload } : {};
  return { ...metadata, labels: { ...named, ...subject.labels, ...added } };
}

/** The proxy is no root and listens on ports below 1024 all the same; Kubernetes counts this setting as safe. */
function withLowPorts(securityContext: unknown): Raw {
  const given = (securityContext ?? {}) as Raw;
  const setting = { name: 'net.ipv4.ip_unprivileged_port_start', value: '0' };
  const sysctls = listOf(given.sysctls);
  return { ...given, sysctls: sysctls.some(({ name }) => name === setting.name) ? sysctls : [...sysctls, setting] };
}

function listOf(value: unknown): readonly Raw[] {
  return Array.isArray(value) ? value : [];
}
