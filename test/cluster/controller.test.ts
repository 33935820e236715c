import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { App } from 'cdk8s';
import { parseAllDocuments } from 'yaml';
import { type KubernetesController, startKubernetesController } from '../../runtime/controller/index.ts';
import type { Logger } from '../../runtime/identity/index.ts';
import { type KubernetesApi, openKubernetesApi, type RawObject } from '../../runtime/kubernetes/index.ts';
import { finding } from '../../runtime/model/index.ts';
import { ControlPlane } from '../../stacks/control-plane/control-plane.ts';
import { TestProxy } from '../controller/proxy.ts';
import { eventually } from '../support/eventually.ts';
import { ApiServer } from './api-server.ts';
import { scripts } from './paths.ts';

/*
 * Controllers and a real API server without nodes: what they may do is what the stack of the control plane lets them.
 */

const fieldManager = 'test';
const gatewayApi = 'gateway.networking.k8s.io/v1';
let server: ApiServer;
let api: KubernetesApi;
const closing: (() => unknown)[] = [];
const warnings: string[] = [];
const logger: Logger = {
  info: () => {},
  warn: (details, message) => warnings.push(`${message} ${JSON.stringify(details)}`),
};

const apply = (object: RawObject) => api.apply(object, { fieldManager, force: true });

const service = (name: string): RawObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: { selector: { app: name }, ports: [{ port: 80, appProtocol: 'http' }] },
});
const account = (name: string): RawObject => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name, namespace: 'shop' },
});
const pod = (name: string): RawObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: `${name}-0`,
    namespace: 'shop',
    labels: { app: name, 'meshwright.dev/proxy': 'sidecar', 'meshwright.dev/workload': name },
  },
  spec: {
    serviceAccountName: name,
    automountServiceAccountToken: false,
    containers: [{ name: 'app', image: 'none', ports: [{ containerPort: 8080 }] }],
  },
});
const route = (name: string, parent: object, timeout = '1s'): RawObject => ({
  apiVersion: gatewayApi,
  kind: 'HTTPRoute',
  metadata: { name, namespace: 'shop' },
  spec: {
    parentRefs: [parent],
    rules: [{ backendRefs: [{ name: 'reviews', port: 80 }], timeouts: { request: timeout } }],
  },
});
const toService = { group: '', kind: 'Service', name: 'reviews' };
const policy: RawObject = {
  apiVersion: 'meshwright.dev/v1alpha1',
  kind: 'RateLimitPolicy',
  metadata: { name: 'calm', namespace: 'shop' },
  spec: { targetRefs: [{ group: '', kind: 'Service', name: 'reviews' }], limits: [{ requests: 5, interval: '1s' }] },
};

/** A token of a service account, as a kubelet asks for it. */
async function tokenOf(namespace: string, name: string, spec: object = {}): Promise<string> {
  const { status, body } = await server.request<{ status: { token: string } }>(
    'POST',
    `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [], ...spec } },
  );
  if (status >= 300) throw new Error(JSON.stringify(body));
  return body.status.token;
}

async function podToken(name: string, audience = 'meshwright.dev'): Promise<string> {
  const { metadata } = (await api.read({ apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: `${name}-0` }))!;
  const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name: metadata.name, uid: metadata.uid };
  return tokenOf('shop', name, { audiences: [audience], boundObjectRef });
}

/** A controller with the rights that it has once installed. */
async function start(podName: string): Promise<KubernetesController> {
  const kubeconfig = server.kubeconfig(await tokenOf('meshwright-system', 'meshwright-controller'));
  const controller = await startKubernetesController({
    api: openKubernetesApi({ kubeconfig }),
    listen: '127.0.0.1:0',
    webhook: '127.0.0.1:0',
    apiAddress: '127.0.0.1:0',
    pod: podName,
    farewell: 0,
    drain: 0,
    logger,
  });
  closing.push(() => controller.close());
  return controller;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly observedGeneration?: number;
}
interface Status {
  readonly conditions?: Condition[];
  readonly parents?: { readonly controllerName: string; readonly conditions: Condition[] }[];
  readonly listeners?: object[];
}
const find = (kind: string, name: string, namespace = 'shop', apiVersion = gatewayApi) =>
  api.read({ apiVersion, kind, namespace, name });
const statusOf = async (kind: string, name: string, apiVersion = gatewayApi) =>
  ((await find(kind, name, 'shop', apiVersion))?.status ?? {}) as Status;
const configMap = (namespace: string) => find('ConfigMap', 'meshwright-root', namespace, 'v1');
const caBundles = async () => {
  const configuration = await find(
    'MutatingWebhookConfiguration',
    'meshwright-injector',
    '',
    'admissionregistration.k8s.io/v1',
  );
  return (configuration!.webhooks as { clientConfig: { caBundle?: string } }[]).map(({ clientConfig }) =>
    Buffer.from(clientConfig.caBundle ?? '', 'base64').toString(),
  );
};

beforeAll(async () => {
  server = await ApiServer.start();
  api = openKubernetesApi({ kubeconfig: server.kubeconfig() });
  const definitions = execFileSync('xz', ['-dc', `${scripts}/conf/gateway-api-v1.6.3-experimental.yaml.xz`], {
    encoding: 'utf8',
    maxBuffer: 1e8,
  });
  const app = new App();
  new ControlPlane(app, 'control-plane');
  for (const document of parseAllDocuments(`${definitions}\n---\n${app.synthYaml()}`)) {
    const object = document.toJS() as RawObject | null;
    if (object) await apply(object);
  }
  for (const kind of [
    { apiVersion: gatewayApi, kind: 'HTTPRoute' },
    { apiVersion: 'meshwright.dev/v1alpha1', kind: 'RateLimitPolicy' },
  ]) {
    await eventually(
      () =>
        api.list(kind).then(
          () => true,
          () => false,
        ),
      20_000,
    );
  }
  await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  for (const name of ['web', 'reviews'])
    for (const object of [account(name), service(name), pod(name)]) await apply(object);
}, 120_000);

afterAll(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  api?.close();
  await server?.[Symbol.asyncDispose]();
}, 60_000);

describe('a controller with the rights that it is installed with', () => {
  let controller: KubernetesController;

  beforeAll(async () => {
    controller = await start('controller-0');
    await eventually(() => controller.leading, 10_000);
  }, 60_000);

  test('keeps its authority, and tells namespaces and the API server of it', async () => {
    await eventually(async () => (await configMap('shop'))?.data !== undefined, 10_000);
    expect(await configMap('shop')).toMatchObject({
      metadata: { labels: { 'app.kubernetes.io/managed-by': 'meshwright' } },
      data: { 'root.pem': controller.bundlePem },
    });
    expect(await configMap('default')).toBeUndefined();
    await eventually(async () => (await caBundles()).every((bundle) => bundle === controller.bundlePem), 10_000);
    await apply({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'blog', labels: { 'meshwright.dev/inject': 'enabled' } },
    });
    await eventually(async () => (await configMap('blog')) !== undefined, 10_000);
    await api.remove({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop', name: 'meshwright-root' });
    await eventually(async () => (await configMap('shop')) !== undefined, 10_000);
  });

  test('gives a pod its certificate by its token, and nobody by another one', async () => {
    const settings = { serviceAccount: 'web', subscribe: { workload: ['shop/web'], service: ['shop/reviews'] } };
    const proxy = await TestProxy.start(controller, { keys: await podToken('web'), ...settings });
    closing.push(() => proxy.close());
    expect(proxy.svid.current()).toBeDefined();
    await eventually(() => proxy.resources.has('service shop/reviews'));

    await apply(account('leaver'));
    await apply(pod('leaver'));
    const late = await podToken('leaver');
    const gone = { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'leaver-0' };
    await server.request('DELETE', '/api/v1/namespaces/shop/pods/leaver-0?gracePeriodSeconds=0');
    await eventually(async () => (await api.read(gone)) === undefined);
    const bad = {
      'for another audience': await podToken('web', 'https://kubernetes.default.svc'),
      'bound to no pod': await tokenOf('shop', 'web', { audiences: ['meshwright.dev'] }),
      'of a pod that is gone': late,
      'made up': 'ey.ey.ey',
    };
    for (const token of Object.values(bad)) {
      const before = warnings.length;
      const source = TestProxy.svidSource(controller, token, 'web');
      const started = source.start().catch(() => 'closed');
      await eventually(() => warnings.slice(before).some((text) => text.includes('a certificate request was refused')));
      expect(source.current()).toBeUndefined();
      source.close();
      await started;
    }
  });

  test('says on objects how they stand, once', async () => {
    const lb = { name: 'lb', group: 'gateway.networking.k8s.io', kind: 'Gateway' };
    await apply(route('reviews', toService));
    await apply(route('other', lb));
    await apply(policy);
    await apply({
      apiVersion: gatewayApi,
      kind: 'GatewayClass',
      metadata: { name: 'meshwright' },
      spec: { controllerName: 'meshwright.dev/gateway-controller' },
    });
    await apply({
      apiVersion: gatewayApi,
      kind: 'Gateway',
      metadata: { name: 'edge', namespace: 'shop' },
      spec: { gatewayClassName: 'meshwright', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
    });
    const parents = await eventually(async () => (await statusOf('HTTPRoute', 'reviews')).parents, 10_000);
    expect(parents).toMatchObject([
      {
        controllerName: 'meshwright.dev/gateway-controller',
        conditions: [
          { type: 'Accepted', status: 'True', observedGeneration: 1 },
          { type: 'ResolvedRefs', status: 'True' },
        ],
      },
    ]);
    const ours = 'meshwright.dev/v1alpha1';
    const conditions = await eventually(
      async () => (await statusOf('RateLimitPolicy', 'calm', ours)).conditions,
      10_000,
    );
    expect(conditions).toMatchObject([
      { type: 'Accepted', status: 'True' },
      { type: 'ResolvedRefs', status: 'True' },
      { type: 'Programmed', status: 'True' },
    ]);
    const { listeners } = await eventually(async () => {
      const status = await statusOf('Gateway', 'edge');
      return status.listeners && status;
    }, 10_000);
    expect(listeners).toMatchObject([
      { name: 'http', attachedRoutes: 0, supportedKinds: [{ kind: 'HTTPRoute' }, { kind: 'GRPCRoute' }] },
    ]);
    await eventually(async () => {
      const { status } = (await find('GatewayClass', 'meshwright', ''))!;
      return (status as Status).conditions?.some(({ type, status }) => type === 'Accepted' && status === 'True');
    }, 10_000);

    const versions = async () => {
      const all = [
        find('HTTPRoute', 'reviews'),
        find('Gateway', 'edge'),
        find('GatewayClass', 'meshwright', ''),
        find('RateLimitPolicy', 'calm', 'shop', ours),
      ];
      return (await Promise.all(all)).map((object) => object?.metadata.resourceVersion);
    };
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const before = await versions();
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(await versions()).toStrictEqual(before);
    expect(await statusOf('HTTPRoute', 'other')).toStrictEqual({});

    await apply(route('reviews', lb));
    await eventually(async () => (await statusOf('HTTPRoute', 'reviews')).parents?.length === 0, 10_000);
  });

  test('hears from another one what a proxy refuses there, and says so', async () => {
    const other = await start('controller-2');
    const judge = (update: unknown) =>
      JSON.stringify(update).includes('4000') ? [finding('MW1702', { message: 'four is too long', hint: 'less' })] : [];
    const settings = { serviceAccount: 'web', subscribe: { service: ['shop/reviews'] }, judge };
    const proxy = await TestProxy.start(other, { keys: await podToken('web'), ...settings });
    await eventually(() => proxy.resources.has('service shop/reviews'));
    await apply(route('reviews', toService, '4s'));
    const programmed = async () => {
      const [parent] = (await statusOf('HTTPRoute', 'reviews')).parents ?? [];
      return parent?.conditions.find(({ type }) => type === 'Programmed');
    };
    const refused = await eventually(programmed, 30_000);
    expect(refused).toMatchObject({ status: 'False', message: expect.stringContaining('four is too long') });
    expect([controller.leading, other.leading]).toEqual([true, false]);
    await apply(route('reviews', toService));
    await eventually(async () => !(await programmed()), 30_000);
    const told = await find('ConfigMap', 'meshwright-controller-refusals', 'meshwright-system', 'v1');
    expect(told?.data ?? {}).toEqual({});
    proxy.close();
    await other.close();
  });

  test('hands over to another one when it stops', async () => {
    const second = await start('controller-1');
    expect(second.bundlePem).toBe(controller.bundlePem);
    expect(second.leading).toBe(false);
    await controller.close();
    await eventually(() => second.leading, 5_000);
    await apply(route('late', toService));
    await eventually(async () => (await statusOf('HTTPRoute', 'late')).parents, 10_000);
    controller = second;
  });

  test('was refused nothing', () => {
    const refused = warnings.filter((text) => text.includes('forbidden') || text.includes('403'));
    expect(refused).toStrictEqual([]);
  });

  test('goes on when the API server was away', async () => {
    const proxy = await TestProxy.start(controller, {
      keys: await podToken('web'),
      serviceAccount: 'web',
      subscribe: { service: ['shop/reviews'] },
    });
    closing.push(() => proxy.close());
    await apply(route('reviews', toService, '2s'));
    const timeoutIs = (text: string) =>
      eventually(() => JSON.stringify([proxy.resources.get('service shop/reviews')]).includes(text), 30_000);
    await timeoutIs('2000');
    await server.halt();
    await eventually(() => controller.findings().some(({ id }) => id === 'MW1008'), 20_000);
    expect(await (await fetch(`${controller.api}/ready`)).json()).toStrictEqual({ ready: true });
    await server.resume();
    await apply(route('reviews', toService, '3s'));
    await timeoutIs('3000');
    await eventually(() => !controller.findings().some(({ id }) => id === 'MW1008'), 30_000);
    await eventually(() => controller.leading, 30_000);
  }, 120_000);
});

test('who kills the leader makes another one lead, after the lease has ended', async () => {
  const kubeconfig = server.kubeconfig();
  const children: ChildProcess[] = [];
  const elector = (identity: string) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'elector.ts'), kubeconfig, identity]);
    children.push(child);
    const said: { readonly text: string; readonly at: number }[] = [];
    createInterface({ input: child.stdout }).on('line', (text) => said.push({ text, at: performance.now() }));
    return { child, said, says: (text: string) => said.find((each) => each.text === text) };
  };
  try {
    const first = elector('first');
    await eventually(() => first.says('leads'), 20_000);
    const second = elector('second');
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    expect(second.says('leads')).toBeUndefined();
    const killed = performance.now();
    first.child.kill('SIGKILL');
    const { at } = await eventually(() => second.says('leads'), 30_000);
    expect(at - killed).toBeGreaterThan(12_000);
    expect(at - killed).toBeLessThan(20_000);
    const third = elector('third');
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const asked = performance.now();
    second.child.kill('SIGTERM');
    const handedOver = await eventually(() => third.says('leads'), 10_000);
    expect(second.says('loses')).toBeDefined();
    expect(handedOver.at - asked).toBeLessThan(4_000);
  } finally {
    for (const child of children) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'close');
      }
    }
  }
}, 90_000);
