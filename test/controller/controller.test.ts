import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type Controller,
  type FileControllerOptions,
  type ProxyView,
  startFileController,
} from '../../runtime/controller/index.ts';
import { createTokenKeys } from '../../runtime/identity/authority.ts';
import { type Finding, finding, type Service, type Workload } from '../../runtime/model/index.ts';
import { Registry } from '../../runtime/telemetry/index.ts';
import { eventually } from '../support/eventually.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { silent, TestProxy } from './proxy.ts';

const mesh = (trustDomain: string) =>
  `apiVersion: meshwright.dev/v1alpha1\nkind: Mesh\nmetadata: { name: shop, namespace: shop }\nspec: { trustDomain: ${trustDomain} }\n`;

const deployment = (name: string, calls: string) => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: shop }
spec:
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata:
      labels: { app: ${name}, meshwright.dev/inject: enabled }
      annotations: { meshwright.dev/calls: '${calls}' }
    spec: { serviceAccountName: ${name}, containers: [{ name: app }] }
`;

const service = (name: string) => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec: { selector: { app: ${name} }, ports: [{ port: 80, appProtocol: http }] }
`;

const route = (timeout: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: reviews, namespace: shop }
spec:
  parentRefs: [{ group: '', kind: Service, name: reviews }]
  rules: [{ backendRefs: [{ name: reviews, port: 80 }], timeouts: { request: ${timeout} } }]
`;

const shop = [
  mesh('shop.local'),
  deployment('web', 'reviews'),
  deployment('reviews', ''),
  service('web'),
  service('reviews'),
];

const keys = createTokenKeys();
const webSubscribes = {
  workload: ['shop/web'],
  service: ['shop/reviews'],
  endpoints: ['shop/reviews'],
};
let manifests: TemporaryDirectory;
let state: TemporaryDirectory;
const closing: (() => unknown)[] = [];

async function start(options: Partial<FileControllerOptions> = {}): Promise<Controller> {
  const controller = await startFileController({
    manifests: [manifests.path],
    listen: '127.0.0.1:0',
    stateDirectory: state.path,
    tokenPublicKeyPem: keys.publicKeyPem,
    logger: silent,
    ...options,
  });
  closing.push(() => controller.close());
  return controller;
}

async function connect(controller: Controller, settings: Partial<Parameters<typeof TestProxy.start>[1]> = {}) {
  const proxy = await TestProxy.start(controller, {
    keys,
    serviceAccount: 'web',
    subscribe: webSubscribes,
    ...settings,
  });
  closing.push(() => proxy.close());
  return proxy;
}

async function ask<T>(controller: Controller, path: string): Promise<T> {
  const response = await fetch(`${controller.api}${path}`);
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

const proxiesOf = (controller: Controller) => ask<ProxyView[]>(controller, '/api/v1/proxies');
/** The connected proxies once one of them has taken the newest version of everything. */
const upToDate = (controller: Controller) =>
  eventually(async () => {
    const proxies = await proxiesOf(controller);
    return proxies.some((proxy) => proxy.upToDate) && proxies;
  });
const timeoutAt = (proxy: TestProxy) =>
  (proxy.resources.get('service shop/reviews') as Service | undefined)?.ports[0].rules[0]?.timeouts.request;

beforeEach(async () => {
  manifests = new TemporaryDirectory();
  state = new TemporaryDirectory();
  await manifests.write('shop.yaml', [...shop, route('1s')].join('---\n'));
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  manifests[Symbol.dispose]();
  state[Symbol.dispose]();
});

describe('the controller', () => {
  it('gives a proxy its certificate and its slice', async () => {
    const controller = await start();
    expect(controller.trustDomain).toBe('shop.local');
    const proxy = await connect(controller, { admin: '127.0.0.1:9' });
    const [view] = await upToDate(controller);
    expect([...proxy.resources.keys()].sort()).toStrictEqual([
      'endpoints shop/reviews',
      'service shop/reviews',
      'workload shop/web',
    ]);
    expect((proxy.resources.get('workload shop/web') as Workload).calls).toStrictEqual(['shop/reviews']);
    expect(view).toMatchObject({
      id: 'web-0.shop',
      workload: 'shop/web',
      identity: 'spiffe://shop.local/ns/shop/sa/web',
      connected: true,
      admin: '127.0.0.1:9',
      nacks: [],
    });
    expect(Object.keys(view.acknowledged.workload ?? {})).toStrictEqual(['shop/web']);
  });

  it('shows a proxy nothing of others', async () => {
    const controller = await start();
    const proxy = await connect(controller, {
      serviceAccount: 'reviews',
      subscribe: { workload: ['shop/web', 'shop/reviews'], service: ['shop/web'], endpoints: ['*'] },
    });
    await eventually(() => proxy.resources.has('workload shop/reviews'));
    await upToDate(controller);
    expect([...proxy.resources.keys()]).toStrictEqual(['workload shop/reviews']);
  });

  it('brings a change of a manifest to the proxy in under a second', async () => {
    const controller = await start();
    const proxy = await connect(controller);
    await eventually(() => timeoutAt(proxy) === 1000);
    const before = performance.now();
    await manifests.write('shop.yaml', [...shop, route('2s')].join('---\n'));
    await eventually(() => timeoutAt(proxy) === 2000);
    expect(performance.now() - before).toBeLessThan(1000);
  });

  it('pushes nothing where manifests say the same in other words, or what concerns others', async () => {
    const controller = await start();
    const proxy = await connect(controller);
    await upToDate(controller);
    const before = proxy.updates.length;
    await manifests.write('shop.yaml', ['# Comment', ...shop, route('1000ms')].join('\n---\n'));
    await manifests.write('other.yaml', service('other'));
    await eventually(async () => (await ask<unknown[]>(controller, '/api/v1/services')).length === 3);
    await manifests.write('shop.yaml', [...shop, route('3s')].join('---\n'));
    await eventually(() => timeoutAt(proxy) === 3000);
    expect(proxy.updates).toHaveLength(before + 1);
  });

  it('lets a proxy see a service as soon as its workload declares to call it', async () => {
    const controller = await start();
    const proxy = await connect(controller, { subscribe: { ...webSubscribes, service: ['shop/reviews', 'shop/web'] } });
    await upToDate(controller);
    expect(proxy.resources.has('service shop/web')).toBe(false);
    await manifests.write('shop.yaml', [shop[0], deployment('web', 'reviews,web'), ...shop.slice(2)].join('---\n'));
    await eventually(() => proxy.resources.has('service shop/web'));
  });

  it('makes what a proxy refuses visible, until it accepts', async () => {
    const controller = await start();
    const judge = ({ updates }: { updates: readonly unknown[] }): Finding[] =>
      JSON.stringify(updates).includes('4000')
        ? [finding('MW1702', { message: 'four is too long', hint: 'say less' })]
        : [];
    const proxy = await connect(controller, { judge });
    await upToDate(controller);
    await manifests.write('shop.yaml', [...shop, route('4s')].join('---\n'));
    const [nack] = await eventually(async () => {
      const [{ nacks }] = await proxiesOf(controller);
      return nacks.length > 0 && nacks;
    });
    expect(nack).toMatchObject({ kind: 'service', resources: ['shop/reviews'] });
    expect(nack.error).toContain('four is too long');
    expect(controller.findings()).toMatchObject([{ id: 'MW1703', object: 'web-0.shop' }]);
    expect(timeoutAt(proxy)).toBe(1000);
    await manifests.write('shop.yaml', [...shop, route('5s')].join('---\n'));
    await eventually(() => timeoutAt(proxy) === 5000);
    await eventually(() => controller.findings().length === 0);
  });

  it('goes on with the last good configuration where a manifest breaks, and says so', async () => {
    const controller = await start();
    const proxy = await connect(controller);
    await upToDate(controller);
    await manifests.write('shop.yaml', `${shop.join('---\n')}---\nkind: [`);
    const findings = await eventually(async () => {
      const found = await ask<Finding[]>(controller, '/api/v1/findings');
      return found.length > 0 && found;
    });
    expect(findings).toMatchObject([{ id: 'MW1001', object: expect.stringContaining('shop.yaml:') }]);
    expect(timeoutAt(proxy)).toBe(1000);
  });

  it('does not change the trust domain under its certificates', async () => {
    const controller = await start();
    const proxy = await connect(controller);
    await upToDate(controller);
    await manifests.write('shop.yaml', [mesh('other.local'), ...shop.slice(1)].join('---\n'));
    await eventually(() => controller.findings().some(({ id }) => id === 'MW1601'));
    expect((proxy.resources.get('workload shop/web') as Workload).trustDomain).toBe('shop.local');
  });

  it('keeps its authority over a restart, for its own user only, and proxies come back by themselves', async () => {
    const first = await start();
    const proxy = await connect(first);
    await upToDate(first);
    const before = proxy.updates.length;
    await first.close();
    const second = await start({ listen: first.address });
    expect(second.bundlePem).toBe(first.bundlePem);
    await upToDate(second);
    expect(proxy.updates).toHaveLength(before);
    const key = await stat(join(state.path, 'shop.local', 'ca.key'));
    expect(key.mode & 0o777).toBe(0o600);
    expect((await stat(join(state.path, 'shop.local'))).mode & 0o777).toBe(0o700);
  });

  it('does not start with an authority it cannot read, rather than make a new one', async () => {
    await (await start()).close();
    const key = join(state.path, 'shop.local', 'ca.key');
    await writeFile(key, 'not a key');
    await expect(start()).rejects.toThrow();
    expect(await readFile(key, 'utf8')).toBe('not a key');
  });

  it('refuses a token of another issuer', async () => {
    const warnings: string[] = [];
    const controller = await start({ logger: { info: () => {}, warn: (_, message) => warnings.push(message) } });
    const stranger = TestProxy.svidSource(controller, createTokenKeys(), 'web');
    const started = stranger.start().catch(() => 'closed');
    await eventually(() => warnings.includes('a certificate request was refused'));
    expect(stranger.current()).toBeUndefined();
    stranger.close();
    expect(await started).toBe('closed');
  });

  it('fails to start where a port is in use, and leaves nothing open', async () => {
    const controller = await start();
    await expect(start({ listen: controller.address })).rejects.toThrow('EADDRINUSE');
    const api = controller.api.replace('http://', '');
    const freed = await start();
    await freed.close();
    await expect(start({ listen: freed.address, api })).rejects.toThrow('EADDRINUSE');
    await start({ listen: freed.address });
  });
});

describe('the API', () => {
  it('tells of services, statuses and findings', async () => {
    await manifests.write('bad.yaml', route('1s').replaceAll('reviews', 'gone'));
    const controller = await start();
    expect(await ask(controller, '/ready')).toStrictEqual({ ready: true });
    expect(await ask(controller, '/api/v1/services?pretty')).toMatchObject([
      {
        name: 'shop/reviews',
        ports: [{ port: 80, protocol: 'http', routes: ['HTTPRoute shop/reviews'] }],
        endpoints: 0,
        versions: [{ version: '', workload: 'shop/reviews', endpoints: 0 }],
      },
      { name: 'shop/web' },
    ]);
    expect(await ask(controller, '/api/v1/findings')).toMatchObject([{ id: 'MW1202' }, { id: 'MW1201' }]);
    expect(await ask(controller, '/api/v1/statuses')).toMatchObject([
      { object: { kind: 'HTTPRoute', name: 'gone' }, parents: [{ conditions: [{ reason: 'NoMatchingParent' }, {}] }] },
      { object: { kind: 'HTTPRoute', name: 'reviews' } },
      { object: { kind: 'Mesh' } },
    ]);
  });

  it('adds up what the connected proxies measure', async () => {
    const registry = new Registry();
    const labels = ['service', 'version', 'source', 'mtls', 'response_class'];
    const requests = registry.histogram('http_server_request_duration_seconds', 'Help.', labels);
    const admin = createServer((_, response) => {
      requests.with('shop/web', 'v1', 'unknown', 'true', '2xx').observe(0.002);
      response.end(registry.expose());
    });
    await new Promise<void>((resolve) => admin.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => admin.close(resolve)));
    const controller = await start();
    await connect(controller, { admin: `127.0.0.1:${(admin.address() as AddressInfo).port}` });
    const [stats] = await eventually(async () => {
      const found = await ask<{ rps: number }[]>(controller, '/api/v1/stats');
      return found.some(({ rps }) => rps > 0) && found;
    }, 10_000);
    expect(stats).toMatchObject({ service: 'shop/web', version: 'v1', success: 1, mtls: 1 });
    expect(await ask(controller, '/api/v1/edges')).toStrictEqual([]);
    expect(await ask(controller, '/api/v1/policies')).toStrictEqual({ circuitBreakers: [], ejections: [] });
  }, 15_000);

  it('answers only this machine, only GET, only what there is, and survives odd requests', async () => {
    const controller = await start();
    const status = (path: string, host?: string, method = 'GET') =>
      new Promise((resolve, reject) => {
        const url = new URL(controller.api);
        const headers = { host: host ?? url.host };
        get({ hostname: url.hostname, port: url.port, path, headers, method }, (response) => {
          response.resume();
          resolve(response.statusCode);
        }).on('error', reject);
      });
    expect(await status('/ready')).toBe(200);
    expect(await status('/ready', 'evil.example')).toBe(403);
    expect(await status('/ready', undefined, 'POST')).toBe(405);
    expect(await status('/api/v1/nothing')).toBe(404);
    expect(await status('//')).toBe(404);
  });
});
