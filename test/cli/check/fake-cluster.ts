import type { Action, ClusterView } from '../../../runtime/cli/check/cluster-view.ts';
import { createRoot } from '../../../runtime/identity/authority.ts';
import { defaultSettings, injectorConfiguration, injectPod } from '../../../runtime/injection/index.ts';
import {
  ApiError,
  type ObjectKind,
  type ObjectRef,
  type RawObject,
  type Selection,
} from '../../../runtime/kubernetes/index.ts';
import { customResourceDefinitions } from '../../../runtime/resources/index.ts';
import type { ManualClock } from '../../support/manual-clock.ts';

type Fields = Record<string, unknown>;

const system = 'meshwright-system';
const controller = 'meshwright-controller';
const base64 = (text: string) => Buffer.from(text).toString('base64');

/** A cluster of objects that can be changed. Nothing in it runs. */
export class FakeCluster implements ClusterView {
  objects: RawObject[] = [];
  gitVersion = 'v1.36.3';
  /** Kinds that nobody may read. */
  readonly secret = new Set<string>();
  /** `create deployments` and the like, that nobody may do. */
  readonly forbidden = new Set<string>();
  /** What the API server says of a pod that is tried out. */
  refusal: ApiError | undefined;
  /** Whether pods get a sidecar. */
  injects = true;

  async version(): Promise<string> {
    return this.gitVersion;
  }

  async read({ kind, namespace, name }: ObjectRef): Promise<RawObject | undefined> {
    this.#admit(kind);
    return this.find(kind, name, namespace);
  }

  async list({ kind }: ObjectKind, { namespace, labelSelector, fieldSelector }: Selection = {}): Promise<RawObject[]> {
    this.#admit(kind);
    const label = labelSelector?.split('=');
    const name = fieldSelector?.replace('metadata.name=', '');
    return this.objects.filter(
      ({ kind: found, metadata }) =>
        found === kind &&
        (namespace === undefined || metadata.namespace === namespace) &&
        (label === undefined || metadata.labels?.[label[0]] === label[1]) &&
        (name === undefined || metadata.name === name),
    );
  }

  async may({ verb, resource }: Action): Promise<boolean> {
    return !this.forbidden.has(`${verb} ${resource}`);
  }

  async tryOut(object: RawObject): Promise<RawObject> {
    if (this.refusal) throw this.refusal;
    const injection = injectPod(object, { settings: defaultSettings });
    return this.injects && injection.kind === 'injected' ? (injection.pod as RawObject) : object;
  }

  find(kind: string, name: string, namespace?: string): RawObject | undefined {
    return this.objects.find(
      (object) => object.kind === kind && object.metadata.name === name && object.metadata.namespace === namespace,
    );
  }

  /** Changes an object, which must be there. */
  edit(
    kind: string,
    path: string,
    change: (fields: { metadata: Fields; spec: Fields; status: Fields } & Fields) => void,
  ): void {
    const [namespace, name] = path.includes('/') ? path.split('/') : [undefined, path];
    const object = this.find(kind, name, namespace);
    if (!object) throw new Error(`there is no ${kind} ${path}`);
    change(object as never);
  }

  remove(kind: string, name: string): void {
    this.objects = this.objects.filter((object) => object.kind !== kind || object.metadata.name !== name);
  }

  #admit(kind: string): void {
    if (!this.secret.has(kind)) return;
    throw new ApiError(`${kind} is forbidden: you cannot read it`, { status: 403, reason: 'Forbidden' });
  }
}

/** A cluster with a control plane and a small mesh, where all is well. */
export async function soundCluster(clock: ManualClock): Promise<FakeCluster> {
  const cluster = new FakeCluster();
  const { certificatePem, keyPem } = await createRoot({ trustDomain: 'shop.local', clock });
  const object = (kind: string, path: string, fields: Fields = {}, metadata: Fields = {}): RawObject => {
    const [namespace, name] = path.includes('/') ? path.split('/') : [undefined, path];
    return structuredClone({ apiVersion: 'v1', kind, metadata: { name, namespace, ...metadata }, ...fields });
  };
  const gatewayKind = (plural: string) =>
    object(
      'CustomResourceDefinition',
      `${plural}.gateway.networking.k8s.io`,
      {
        spec: { versions: [{ name: 'v1', served: true }] },
      },
      { annotations: { 'gateway.networking.k8s.io/bundle-version': 'v1.6.3' } },
    );
  const bundle = (namespace: string) =>
    object('ConfigMap', `${namespace}/meshwright-root`, { data: { 'root.pem': certificatePem } });
  const accepted = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '', observedGeneration: 2 };
  const ready = { phase: 'Running', containerStatuses: [{ name: 'app', ready: true, state: { running: {} } }] };
  const bare = object('Pod', 'shop/web-1', { spec: { containers: [{ name: 'app', image: 'shop/web:1' }] } });
  const injection = injectPod(bare, {
    settings: defaultSettings,
    namespaceLabels: { 'meshwright.dev/inject': 'enabled' },
  });
  if (injection.kind !== 'injected') throw new Error(injection.reason);
  const proxyReady = { name: 'meshwright-proxy', ready: true, state: { running: {} } };
  const injector = structuredClone(injectorConfiguration());
  const webhooks = injector.webhooks.map((webhook) => ({
    ...webhook,
    clientConfig: { ...webhook.clientConfig, caBundle: base64(certificatePem) },
  }));

  cluster.objects = [
    object('Node', 'node1', { status: { nodeInfo: { operatingSystem: 'linux' } } }),
    ...['gatewayclasses', 'gateways', 'httproutes', 'grpcroutes'].map(gatewayKind),
    ...customResourceDefinitions().map((definition) => ({
      ...(structuredClone(definition) as unknown as RawObject),
      status: { conditions: [{ type: 'Established', status: 'True' }] },
    })),
    object('Namespace', system),
    object('Namespace', 'shop', {}, { labels: { 'meshwright.dev/inject': 'enabled' } }),
    object('Namespace', 'other'),
    object(
      'Deployment',
      `${system}/${controller}`,
      {
        spec: {
          replicas: 2,
          template: { spec: { containers: [{ name: 'controller', image: 'meshwright/meshwright:0.1.0' }] } },
        },
        status: { observedGeneration: 1, updatedReplicas: 2, readyReplicas: 2 },
      },
      { generation: 1, labels: { 'app.kubernetes.io/version': '0.1.0' } },
    ),
    object(
      'EndpointSlice',
      `${system}/${controller}-1`,
      {
        endpoints: [{ addresses: ['10.0.0.1'], conditions: { ready: true } }],
        ports: [{ name: 'grpc-xds' }, { name: 'https-webhook' }],
      },
      { labels: { 'kubernetes.io/service-name': controller } },
    ),
    object('Lease', `${system}/${controller}`, {
      spec: { holderIdentity: 'a', renewTime: new Date(clock.wallTime()).toISOString(), leaseDurationSeconds: 15 },
    }),
    object('Secret', `${system}/meshwright-ca`, {
      data: { 'tls.crt': base64(certificatePem), 'tls.key': base64(keyPem) },
    }),
    bundle(system),
    bundle('shop'),
    { ...(injector as unknown as RawObject), webhooks },
    {
      ...(injection.pod as RawObject),
      status: { ...ready, initContainerStatuses: [{ name: 'meshwright-redirect', ready: true }, proxyReady] },
    },
    object('Pod', 'other/plain', { spec: { containers: [{ name: 'app', image: 'plain:1' }] }, status: ready }),
    object(
      'Mesh',
      'shop/default',
      { spec: { trustDomain: 'shop.local' }, status: { conditions: [accepted] } },
      { generation: 2 },
    ),
    object('AccessPolicy', 'shop/cart-access', { status: { conditions: [accepted] } }, { generation: 2 }),
    object('HTTPRoute', 'shop/canary', {
      status: {
        parents: [
          { controllerName: 'meshwright.dev/gateway-controller', conditions: [accepted] },
          { controllerName: 'example.com/another', conditions: [{ ...accepted, status: 'False' }] },
        ],
      },
    }),
  ];
  return cluster;
}
