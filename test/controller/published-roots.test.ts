import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { InjectorBundle } from '../../runtime/controller/kubernetes/injector-bundle.ts';
import { meshNamespaces } from '../../runtime/controller/kubernetes/mesh-namespaces.ts';
import { RootPublisher } from '../../runtime/controller/kubernetes/root-publisher.ts';
import { injectorConfiguration, injectorName } from '../../runtime/injection/index.ts';
import type { RawObject } from '../../runtime/kubernetes/index.ts';
import type { KubernetesObject } from '../../runtime/resources/index.ts';
import { parseObject } from '../../runtime/resources/index.ts';
import { MemoryApi } from '../kubernetes/memory-api.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { silent } from './proxy.ts';

let clock: ManualClock;
let api: MemoryApi;
let bundlePem: string;
const common = () => ({ api, clock, random: () => 0, logger: silent, bundlePem: () => bundlePem });

async function pass(milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 100) {
    clock.advance(100);
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}
const applied = () => api.calls.filter(({ verb }) => verb === 'apply').length;

beforeEach(() => {
  clock = new ManualClock();
  api = new MemoryApi(clock);
  bundlePem = 'first root';
});

describe('the trust bundle', () => {
  let publisher: RootPublisher;
  const configMap = (namespace: string) => api.get('ConfigMap', 'meshwright-root', namespace);
  const rootIn = (namespace: string) =>
    (configMap(namespace)?.data as Record<string, string> | undefined)?.['root.pem'];
  const put = (namespace: string, labels?: Record<string, string>) =>
    api.put({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'meshwright-root', namespace, ...(labels && { labels }) },
      data: { 'root.pem': 'stale', other: 'kept' },
    });

  beforeEach(() => {
    publisher = new RootPublisher(common());
  });
  afterEach(() => publisher.stop());

  it('is in every namespace of the mesh, also in those that join later, and is kept right', async () => {
    publisher.update(new Set(['shop']));
    publisher.start();
    await eventually(() => rootIn('shop') === 'first root');
    expect(configMap('shop')?.metadata.labels).toStrictEqual({ 'app.kubernetes.io/managed-by': 'meshwright' });
    publisher.update(new Set(['shop', 'blog']));
    await eventually(() => rootIn('blog') === 'first root');
    bundlePem = 'first root, second root';
    publisher.checkAll();
    await pass(2_000);
    expect([rootIn('shop'), rootIn('blog')]).toStrictEqual([bundlePem, bundlePem]);
    api.delete('ConfigMap', 'meshwright-root', 'shop');
    await pass(2_000);
    expect(rootIn('shop')).toBe(bundlePem);
    const before = applied();
    publisher.update(new Set(['blog', 'shop']));
    await pass(5_000);
    expect(applied()).toBe(before);
  });

  it('takes the place of an older one of ours, and leaves that of others alone', async () => {
    const warnings: object[] = [];
    publisher = new RootPublisher({ ...common(), logger: { ...silent, warn: (details) => warnings.push(details) } });
    put('shop', { 'app.kubernetes.io/managed-by': 'meshwright' });
    put('blog');
    publisher.update(new Set(['shop', 'blog']));
    publisher.start();
    await pass(5_000);
    const calls = api.calls.length;
    publisher.checkAll();
    await pass(5_000);
    expect(api.calls).toHaveLength(calls);
    expect(configMap('shop')?.data).toStrictEqual({ 'root.pem': 'first root', other: 'kept' });
    expect(rootIn('blog')).toBe('stale');
    expect(warnings).toMatchObject([{ namespace: 'blog' }]);
    api.delete('ConfigMap', 'meshwright-root', 'blog');
    await pass(2_000);
    expect(rootIn('blog')).toBe('first root');
  });

  it('does not take the place of one that somebody else makes at the same moment', async () => {
    api.intercept = ({ verb }) => {
      if (verb === 'read' && !configMap('shop')) put('shop');
    };
    publisher.update(new Set(['shop']));
    publisher.start();
    await pass(2_000);
    expect(rootIn('shop')).toBe('stale');
  });

  it('is written by the leader only', async () => {
    publisher.update(new Set(['shop']));
    await pass(1_000);
    expect(api.calls).toStrictEqual([]);
    publisher.start();
    await eventually(() => rootIn('shop'));
    publisher.stop();
    api.delete('ConfigMap', 'meshwright-root', 'shop');
    await pass(2_000);
    expect(rootIn('shop')).toBeUndefined();
    expect(api.openWatches).toBe(0);
  });

  it('is tried again where it could not be written', async () => {
    api.intercept = ({ verb }) => {
      if (verb === 'apply') throw new Error('the namespace is being terminated');
    };
    publisher.update(new Set(['shop']));
    publisher.start();
    await pass(5_000);
    api.intercept = () => {};
    await pass(15_000);
    expect(rootIn('shop')).toBe('first root');
  });
});

describe('the namespaces of the mesh', () => {
  const object = (raw: RawObject): KubernetesObject => parseObject(raw, 'test').object!;
  const inject = { 'meshwright.dev/inject': 'enabled' };
  const namespace = (name: string, labels = {}) =>
    object({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  const pod = (namespace: string, labels = {}) =>
    object({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace, labels }, spec: { containers: [] } });
  const gatewayApi = 'gateway.networking.k8s.io/v1';
  const gateway = (namespace: string, gatewayClassName: string) =>
    object({
      apiVersion: gatewayApi,
      kind: 'Gateway',
      metadata: { name: 'g', namespace },
      spec: { gatewayClassName, listeners: [{ name: 'a', port: 80, protocol: 'HTTP' }] },
    });
  const gatewayClass = (name: string, controllerName: string) =>
    object({ apiVersion: gatewayApi, kind: 'GatewayClass', metadata: { name }, spec: { controllerName } });

  it('are those that are labelled, have pods that are, or a Gateway of ours', () => {
    const objects = [
      namespace('labelled', inject),
      namespace('plain'),
      pod('wish', inject),
      pod('member', { 'meshwright.dev/proxy': 'sidecar' }),
      pod('stranger', { app: 'x' }),
      gateway('edge', 'meshwright'),
      gateway('inner', 'internal'),
      gateway('other', 'nginx'),
      gatewayClass('internal', 'meshwright.dev/gateway-controller'),
      gatewayClass('nginx', 'nginx.example/controller'),
    ];
    expect([...meshNamespaces(objects)].sort()).toStrictEqual(['edge', 'inner', 'labelled', 'member', 'wish']);
  });
});

describe('the bundle of the injector', () => {
  let bundle: InjectorBundle;
  const bundles = () =>
    (api.get('MutatingWebhookConfiguration', injectorName)!.webhooks as { clientConfig: { caBundle?: string } }[]).map(
      ({ clientConfig }) => clientConfig.caBundle && Buffer.from(clientConfig.caBundle, 'base64').toString(),
    );
  const install = () => api.put(injectorConfiguration() as unknown as RawObject);

  beforeEach(() => {
    bundle = new InjectorBundle(common());
  });
  afterEach(() => bundle.stop());

  it('is what the API server verifies each of its webhooks with, now and after a change of root', async () => {
    install();
    bundle.start();
    await pass(1_000);
    expect(bundles()).toStrictEqual(['first root', 'first root']);
    const { webhooks } = api.get('MutatingWebhookConfiguration', injectorName)!;
    expect(webhooks).toMatchObject(injectorConfiguration().webhooks);
    bundlePem = 'second root';
    bundle.check();
    await pass(2_000);
    expect(bundles()).toStrictEqual(['second root', 'second root']);
    expect(applied()).toBe(2);
  });

  it('is written again when the webhooks are installed anew', async () => {
    bundle.start();
    await pass(1_000);
    expect(applied()).toBe(0);
    install();
    await pass(1_000);
    expect(bundles()).toStrictEqual(['first root', 'first root']);
    api.delete('MutatingWebhookConfiguration', injectorName);
    install();
    await pass(2_000);
    expect(bundles()).toStrictEqual(['first root', 'first root']);
  });

  it('is written by the leader only', async () => {
    install();
    bundle.check();
    await pass(1_000);
    expect(applied()).toBe(0);
  });
});
