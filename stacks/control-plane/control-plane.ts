import { ApiObject, Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import type { Construct } from 'constructs';
import { injectorConfiguration } from '../../runtime/injection/index.ts';
import { controlPlane, defaultImage, labels, version } from '../../runtime/resources/index.ts';
import { Definitions, partOf } from '../crds/crds.ts';
import { clusterRules, ownRules } from './rbac.ts';

/** What of the control plane is up to the cluster it runs in. */
export interface ControlPlaneProps {
  /**
   * The image of the controller.
   * @default - the one of this version of Meshwright
   */
  readonly image?: string;

  /**
   * The image of the sidecars it puts beside pods.
   * @default - the image of the controller
   */
  readonly sidecarImage?: string;

  /**
   * When the image of the controller is pulled.
   * @default 'IfNotPresent'
   */
  readonly imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never';

  /**
   * How many controllers run. All serve proxies, one of them writes to the cluster.
   * @default 2
   */
  readonly replicas?: number;

  /**
   * First part of every identity. It counts while there is no certificate authority yet, which is made for it.
   * @default - that of the oldest Mesh which names one, else `cluster.local`
   */
  readonly trustDomain?: string;

  /**
   * What it may use.
   * @default - asks for 100m of CPU and 256Mi of memory, and gets no more than 1Gi
   */
  readonly resources?: {
    readonly requests?: Readonly<Record<string, string>>;
    readonly limits?: Readonly<Record<string, string>>;
  };

  /**
   * What it logs.
   * @default 'info'
   */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error';

  /** Labels that its nodes must have. */
  readonly nodeSelector?: Readonly<Record<string, string>>;

  /** Taints of nodes that do not keep it away. */
  readonly tolerations?: readonly k8s.Toleration[];

  /**
   * Whether the definitions of the kinds of meshwright.dev are part of it.
   * @default true
   */
  readonly crds?: boolean;
}

const { name, namespace } = controlPlane;
const user = 1337;
const ports = { 'grpc-xds': 15010, 'https-webhook': 15017 };
const identity = { [labels.appName]: name };

/**
 * Everything that makes a cluster hold meshes: the controller with its rights, its webhook, and the kinds of
 * meshwright.dev. It is one for a cluster, in the namespace meshwright-system.
 */
export class ControlPlane extends Chart {
  readonly #props: ControlPlaneProps;

  constructor(scope: Construct, id: string, props: ControlPlaneProps = {}) {
    super(scope, id, { disableResourceNameHashes: true, labels: partOf });
    this.#props = props;
    // What is applied first must be first: nothing else knows the order.
    if (props.crds ?? true) new Definitions(this, 'Definitions');
    this.#namespace();
    this.#rights();
    this.#service();
    this.#deployment();
    this.#protection();
    new ApiObject(this, 'Injector', injectorConfiguration());
  }

  #namespace(): void {
    new k8s.KubeNamespace(this, 'Namespace', {
      metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
    });
  }

  #rights(): void {
    const subjects = [{ kind: 'ServiceAccount', name, namespace }];
    const roleRef = (kind: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name });
    new k8s.KubeServiceAccount(this, 'ServiceAccount', {
      metadata: { name, namespace, labels: identity },
      automountServiceAccountToken: false,
    });
    new k8s.KubeClusterRole(this, 'ClusterRole', { metadata: { name, labels: identity }, rules: [...clusterRules] });
    new k8s.KubeClusterRoleBinding(this, 'ClusterRoleBinding', {
      metadata: { name, labels: identity },
      roleRef: roleRef('ClusterRole'),
      subjects,
    });
    new k8s.KubeRole(this, 'Role', { metadata: { name, namespace, labels: identity }, rules: [...ownRules] });
    new k8s.KubeRoleBinding(this, 'RoleBinding', {
      metadata: { name, namespace, labels: identity },
      roleRef: roleRef('Role'),
      subjects,
    });
  }

  #service(): void {
    new k8s.KubeService(this, 'Service', {
      metadata: { name, namespace, labels: identity },
      spec: {
        selector: identity,
        ports: [
          { name: 'grpc-xds', port: ports['grpc-xds'], targetPort: k8s.IntOrString.fromString('grpc-xds') },
          { name: 'https-webhook', port: 443, targetPort: k8s.IntOrString.fromString('https-webhook') },
        ],
      },
    });
  }

  #deployment(): void {
    const { replicas = 2, nodeSelector, tolerations } = this.#props;
    new k8s.KubeDeployment(this, 'Deployment', {
      metadata: { name, namespace, labels: { ...identity, [labels.appVersion]: version } },
      spec: {
        replicas,
        selector: { matchLabels: identity },
        strategy: {
          type: 'RollingUpdate',
          rollingUpdate: { maxUnavailable: k8s.IntOrString.fromNumber(0), maxSurge: k8s.IntOrString.fromNumber(1) },
        },
        template: {
          metadata: { labels: { ...partOf, ...identity } },
          spec: {
            serviceAccountName: name,
            automountServiceAccountToken: true,
            securityContext: {
              runAsNonRoot: true,
              runAsUser: user,
              runAsGroup: user,
              seccompProfile: { type: 'RuntimeDefault' },
            },
            containers: [this.#container()],
            affinity: { podAntiAffinity: apart },
            nodeSelector,
            tolerations: tolerations && [...tolerations],
            terminationGracePeriodSeconds: 30,
          },
        },
      },
    });
  }

  #container(): k8s.Container {
    const { image = defaultImage, sidecarImage = image, imagePullPolicy = 'IfNotPresent' } = this.#props;
    const { resources, trustDomain } = this.#props;
    const probe = (path: string) => ({
      httpGet: { path, port: k8s.IntOrString.fromString('https-webhook'), scheme: 'HTTPS' },
    });
    const field = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } });
    return {
      name: 'controller',
      image,
      imagePullPolicy,
      args: ['controller', '--kubernetes', ...(trustDomain === undefined ? [] : ['--trust-domain', trustDomain])],
      env: [
        { name: 'POD_NAME', ...field('metadata.name') },
        { name: 'POD_NAMESPACE', ...field('metadata.namespace') },
        { name: 'MESHWRIGHT_SIDECAR_IMAGE', value: sidecarImage },
        { name: 'MESHWRIGHT_LOG_LEVEL', value: this.#props.logLevel ?? 'info' },
      ],
      ports: Object.entries(ports).map(([name, containerPort]) => ({ name, containerPort })),
      startupProbe: { ...probe('/live'), periodSeconds: 2, failureThreshold: 60 },
      livenessProbe: { ...probe('/live'), periodSeconds: 10, failureThreshold: 3 },
      readinessProbe: { ...probe('/ready'), periodSeconds: 5, failureThreshold: 2 },
      resources: {
        requests: quantities(resources?.requests ?? { cpu: '100m', memory: '256Mi' }),
        limits: quantities(resources?.limits ?? { memory: '1Gi' }),
      },
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
    };
  }

  /** From those who drain nodes, and from those who should not reach it. */
  #protection(): void {
    new k8s.KubePodDisruptionBudget(this, 'PodDisruptionBudget', {
      metadata: { name, namespace, labels: identity },
      spec: {
        selector: { matchLabels: identity },
        // Of a single replica a least number would keep its node from being drained at all.
        maxUnavailable: k8s.IntOrString.fromNumber(1),
        unhealthyPodEvictionPolicy: 'AlwaysAllow',
      },
    });
    new k8s.KubeNetworkPolicy(this, 'NetworkPolicy', {
      metadata: { name, namespace, labels: identity },
      spec: {
        podSelector: { matchLabels: identity },
        policyTypes: ['Ingress'],
        ingress: [
          { from: [{ namespaceSelector: {} }], ports: [{ port: k8s.IntOrString.fromNumber(ports['grpc-xds']) }] },
          // API servers and kubelets are no pods, and where they call from differs from cluster to cluster.
          { ports: [{ port: k8s.IntOrString.fromNumber(ports['https-webhook']) }] },
        ],
      },
    });
  }
}

/** Better on two nodes, and better in two zones; but where there is only one, both there. */
const apart: k8s.PodAntiAffinity = {
  preferredDuringSchedulingIgnoredDuringExecution: [
    {
      weight: 100,
      podAffinityTerm: { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: identity } },
    },
    { weight: 50, podAffinityTerm: { topologyKey: labels.zone, labelSelector: { matchLabels: identity } } },
  ],
};

function quantities(values: Readonly<Record<string, string>>): Record<string, k8s.Quantity> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, k8s.Quantity.fromString(value)]));
}
