import { once } from 'node:events';
import { request } from 'node:https';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type KubernetesController,
  type KubernetesControllerOptions,
  type ProxyView,
  startKubernetesController,
} from '../../runtime/controller/index.ts';
import { injectorConfiguration, injectorName } from '../../runtime/injection/index.ts';
import type { RawObject } from '../../runtime/kubernetes/index.ts';
import { type Finding, finding, systemClock } from '../../runtime/model/index.ts';
import { MemoryApi } from '../kubernetes/memory-api.ts';
import { eventually } from '../support/eventually.ts';
import { type Reachable, silent, TestProxy } from './proxy.ts';

const namespace = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'shop', labels: { 'meshwright.dev/inject': 'enabled' } },
};
const service = (name: string): RawObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: {
    clusterIP: '10.96.0.7',
    clusterIPs: ['10.96.0.7'],
    selector: { app: name },
    ports: [{ port: 80, appProtocol: 'http' }],
  },
});
const pod = (name: string): RawObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: `${name}-0`,
    namespace: 'shop',
    labels: { app: name, 'meshwright.dev/proxy': 'sidecar', 'meshwright.dev/workload': name },
  },
  spec: { serviceAccountName: name, containers: [{ name: 'app', ports: [{ containerPort: 8080 }] }] },
  status: { podIP: '10.244.0.9', phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
});
const route = (timeout: string): RawObject => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: 'reviews', namespace: 'shop' },
  spec: {
    parentRefs: [{ group: '', kind: 'Service', name: 'reviews' }],
    rules: [{ backendRefs: [{ name: 'reviews', port: 80 }], timeouts: { request: timeout } }],
  },
});
const subscribe = { workload: ['shop/web'], service: ['shop/reviews'] };

let api: MemoryApi;
const closing: (() => unknown)[] = [];

async function start(options: Partial<KubernetesControllerOptions> = {}): Promise<KubernetesController> {
  const controller = await startKubernetesController({
    api,
    listen: '127.0.0.1:0',
    webhook: '127.0.0.1:0',
    apiAddress: '127.0.0.1:0',
    pod: 'controller-0',
    farewell: 0,
    drain: 0,
    logger: silent,
    ...options,
  });
  closing.push(() => controller.close());
  return controller;
}

async function connect(controller: Reachable, judge?: (update: unknown) => readonly Finding[]) {
  const proxy = await TestProxy.start(controller, { keys: 'web-token', serviceAccount: 'web', subscribe, judge });
  closing.push(() => proxy.close());
  return proxy;
}

/** Leads connections where it is told to at that moment, as a Service does. */
async function serviceBefore(target: () => string): Promise<string> {
  const server = createServer((socket) => {
    const [host, port] = target().split(':');
    const onward = createConnection({ host, port: Number(port) });
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ]) {
      from.on('error', () => to.destroy()).on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What a kubelet, or the API server, is answered. */
function ask(controller: KubernetesController, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const [host, port] = controller.webhook.split(':');
    const servername = 'meshwright-controller.meshwright-system.svc';
    const options = { host, port, path, servername, ca: controller.bundlePem, agent: false as const };
    request(options, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

const routeStatus = () =>
  api.get('HTTPRoute', 'reviews')?.status as
    | { parents: { conditions: { type: string; status: string; reason: string; message: string }[] }[] }
    | undefined;

beforeEach(() => {
  api = new MemoryApi(systemClock);
  api.tokens.set('web-token', {
    authenticated: true,
    username: 'system:serviceaccount:shop:web',
    audiences: ['meshwright.dev'],
    extra: { 'authentication.kubernetes.io/pod-name': ['web-0'] },
  });
  for (const object of [namespace, service('web'), service('reviews'), pod('web'), pod('reviews'), route('1s')]) {
    api.put(object);
  }
  api.put(injectorConfiguration() as unknown as RawObject);
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

describe('the controller of a cluster', () => {
  it('gives a pod its certificate by its token, and its slice', async () => {
    const controller = await start();
    const proxy = await connect(controller);
    expect(proxy.svid.current()?.notAfter).toBeGreaterThan(Date.now());
    await eventually(() => proxy.resources.has('service shop/reviews'));
    expect([...proxy.resources.keys()].sort()).toStrictEqual(['service shop/reviews', 'workload shop/web']);
    const before = performance.now();
    api.put(route('2s'));
    await eventually(() => JSON.stringify([proxy.resources.get('service shop/reviews')]).includes('2000'));
    expect(performance.now() - before).toBeLessThan(1_000);
  });

  it('keeps its authority in a Secret, and tells everybody of it', async () => {
    const controller = await start();
    const secret = api.get('Secret', 'meshwright-ca', 'meshwright-system');
    expect(secret).toMatchObject({ type: 'kubernetes.io/tls' });
    const rootPem = (object: RawObject | undefined) =>
      (object?.data as Record<string, string> | undefined)?.['root.pem'];
    await eventually(() => rootPem(api.get('ConfigMap', 'meshwright-root', 'shop')) === controller.bundlePem);
    const { webhooks } = await eventually(() => {
      const configuration = api.get('MutatingWebhookConfiguration', injectorName) as unknown as {
        webhooks: { clientConfig: { caBundle?: string } }[];
      };
      return configuration.webhooks.every(({ clientConfig }) => clientConfig.caBundle) && configuration;
    });
    expect(Buffer.from(webhooks[0].clientConfig.caBundle!, 'base64').toString()).toBe(controller.bundlePem);
    expect(await ask(controller, '/ready')).toBe(200);
    expect(await ask(controller, '/live')).toBe(200);
  });

  it('says on objects how they stand, and that a proxy refuses one', async () => {
    const controller = await start();
    await eventually(() => routeStatus()?.parents[0].conditions[0].status === 'True');
    const judge = (update: unknown): Finding[] =>
      JSON.stringify(update).includes('4000') ? [finding('MW1702', { message: 'four is too long', hint: 'less' })] : [];
    const proxy = await connect(controller, judge);
    await eventually(() => proxy.resources.has('service shop/reviews'));
    api.put(route('4s'));
    const programmed = () => routeStatus()?.parents[0].conditions.find(({ type }) => type === 'Programmed');
    const refused = await eventually(() => programmed(), 10_000);
    expect(refused).toMatchObject({ status: 'False', reason: 'Invalid' });
    expect(refused.message).toContain('web-0.shop');
    expect(refused.message).toContain('four is too long');
    expect(controller.findings()).toMatchObject([{ id: 'MW1703' }]);
    api.put(route('5s'));
    await eventually(() => !programmed(), 10_000);
  }, 20_000);

  it('says on objects what a proxy refuses that is connected to another controller', async () => {
    const leader = await start({ pod: 'controller-0' });
    await eventually(() => leader.leading);
    const other = await start({ pod: 'controller-1' });
    const judge = (update: unknown): Finding[] =>
      JSON.stringify(update).includes('4000') ? [finding('MW1702', { message: 'four is too long', hint: 'less' })] : [];
    const proxy = await connect(other, judge);
    await eventually(() => proxy.resources.has('service shop/reviews'));
    api.put(route('4s'));
    const programmed = () => routeStatus()?.parents[0].conditions.find(({ type }) => type === 'Programmed');
    const refused = await eventually(() => programmed(), 15_000);
    expect([leader.leading, other.leading, leader.findings()]).toEqual([true, false, []]);
    expect(refused).toMatchObject({ status: 'False', message: expect.stringMatching(/web-0.shop.*four is too long/) });
    api.put(route('5s'));
    await eventually(() => !programmed(), 15_000);
    expect(api.get('ConfigMap', 'meshwright-controller-refusals')?.data).toEqual({});
  }, 40_000);

  it('hands over when it stops: not ready, then the lead, then the proxies', async () => {
    const first = await start({ pod: 'controller-0', farewell: 3_000 });
    await eventually(() => first.leading);
    const second = await start({ pod: 'controller-1' });
    let leadsTo = first;
    const address = await serviceBefore(() => leadsTo.address);
    const proxy = await connect({ address, trustDomain: first.trustDomain, bundlePem: first.bundlePem });
    await eventually(() => proxy.resources.has('service shop/reviews'));
    const updates = proxy.updates.length;
    expect(second.leading).toBe(false);
    expect(second.bundlePem).toBe(first.bundlePem);
    const closed = first.close();
    expect(await ask(first, '/ready')).toBe(503);
    expect((await fetch(`${first.api}/ready`)).status).toBe(503);
    leadsTo = second;
    await eventually(() => second.leading);
    expect(await ask(first, '/live')).toBe(200);
    await closed;
    const connected = async () => (await (await fetch(`${second.api}/api/v1/proxies`)).json()) as ProxyView[];
    await eventually(async () => (await connected()).some(({ id, upToDate }) => id === 'web-0.shop' && upToDate));
    expect(proxy.updates).toHaveLength(updates);
    api.put(route('2s'));
    await eventually(() => JSON.stringify([proxy.resources.get('service shop/reviews')]).includes('2000'));
    await expect(ask(first, '/live')).rejects.toThrow('ECONNREFUSED');
    expect(await ask(second, '/ready')).toBe(200);
  });

  it('stays ready with what it knows while the API server is away', async () => {
    const controller = await start();
    const proxy = await connect(controller);
    await eventually(() => proxy.resources.has('service shop/reviews'));
    api.down = true;
    await eventually(() => controller.findings().some(({ id }) => id === 'MW1008'));
    expect(await ask(controller, '/ready')).toBe(200);
    expect(proxy.resources.has('service shop/reviews')).toBe(true);
    api.down = false;
    await eventually(() => controller.findings().length === 0, 15_000);
  }, 25_000);

  it('stays of its trust domain when its Mesh object goes, also over a restart', async () => {
    const apiVersion = 'meshwright.dev/v1alpha1';
    const mesh = {
      apiVersion,
      kind: 'Mesh',
      metadata: { name: 'shop', namespace: 'shop' },
      spec: { trustDomain: 'shop.local' },
    };
    api.put(mesh);
    const first = await start();
    expect(first.trustDomain).toBe('shop.local');
    const proxy = await connect(first);
    api.delete('Mesh', 'shop');
    api.put(route('6s'));
    await eventually(() => JSON.stringify([proxy.resources.get('service shop/reviews')]).includes('6000'));
    expect(first.findings()).toStrictEqual([]);
    await first.close();
    const second = await start();
    expect(second.trustDomain).toBe('shop.local');
    // Another one is told of, and changes nothing.
    api.put({ ...mesh, spec: { trustDomain: 'other.local' } });
    await eventually(() => second.findings().some(({ id }) => id === 'MW1601'));
    await second.close();
    const third = await start();
    expect(third.trustDomain).toBe('shop.local');
    expect(third.findings()).toMatchObject([{ id: 'MW1601', object: 'Mesh shop/shop spec.trustDomain' }]);
    const accepted = () => (api.get('Mesh', 'shop')?.status as { conditions: object[] } | undefined)?.conditions[0];
    await eventually(() => accepted() !== undefined);
    expect(accepted()).toMatchObject({ type: 'Accepted', status: 'False', reason: 'Invalid' });
  });

  it('makes its authority for the trust domain it is told, once', async () => {
    const first = await start({ trustDomain: 'one.example' });
    expect(first.trustDomain).toBe('one.example');
    await first.close();
    const second = await start({ trustDomain: 'other.example' });
    expect(second.trustDomain).toBe('one.example');
  });

  it('takes no token that the API server does not know', async () => {
    const controller = await start();
    const source = TestProxy.svidSource(controller, 'stolen', 'web');
    const started = source.start().catch(() => 'closed');
    await eventually(() => api.calls.some(({ verb }) => verb === 'reviewToken'));
    expect(source.current()).toBeUndefined();
    source.close();
    expect(await started).toBe('closed');
  });

  it('fails to start where a port is in use, and leaves nothing open', async () => {
    const controller = await start();
    const other = new MemoryApi(systemClock);
    await expect(start({ api: other, webhook: controller.webhook })).rejects.toThrow('EADDRINUSE');
    expect(other.openWatches).toBe(0);
  });
});
