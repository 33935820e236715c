import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { apply, eventually, get, kubectl } from './kubectl.ts';
import { kubeconfig } from './paths.ts';

/*
 * The control plane as `meshwright install` has it, in a cluster, and what `meshwright check` says of it.
 */

const system = 'meshwright-system';
const controller = `system:serviceaccount:${system}:meshwright-controller`;
const namespace = `test-install-${process.pid}`;

interface Report {
  readonly success: boolean;
  readonly categories: readonly {
    readonly checks: readonly { readonly id: string; readonly result: string; readonly message?: string }[];
  }[];
}

interface Injector {
  readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string } }[];
}

async function meshwright(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...process.env, KUBECONFIG: kubeconfig, NO_COLOR: '1' };
  try {
    const run = await promisify(execFile)(process.execPath, ['runtime/cli/main.ts', ...args], {
      env,
      maxBuffer: 64 << 20,
    });
    return { code: 0, ...run };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

async function check(...args: string[]) {
  const { code, stdout } = await meshwright('check', '-o', 'json', ...args);
  const { success, categories } = JSON.parse(stdout) as Report;
  const results = new Map(categories.flatMap(({ checks }) => checks).map((each) => [each.id, each]));
  return { code, success, results, wrong: [...results.values()].filter(({ result }) => result !== 'ok') };
}

const bundles = async () => {
  const { webhooks } = await get<Injector>('mutatingwebhookconfiguration', 'meshwright-injector');
  return webhooks.map(({ clientConfig }) => clientConfig.caBundle ?? '');
};

let manifests: string;

beforeAll(async () => {
  manifests = (await meshwright('install')).stdout;
  await apply(manifests, '--validate=strict');
  await kubectl(['-n', system, 'rollout', 'status', 'deployment/meshwright-controller', '--timeout=150s']);
}, 180_000);

afterAll(async () => {
  await kubectl(['delete', 'namespace', namespace, '--ignore-not-found', '--wait=false']);
});

describe('installed', () => {
  test('it is found to be well, before and after', async () => {
    expect(await check('--pre')).toMatchObject({ code: 0, success: true, wrong: [] });
    const { code, results } = await check('--wait', '2m');
    const errors = [...results.values()].filter(({ result }) => result === 'error' || result === 'skipped');
    expect({ code, errors }).toEqual({ code: 0, errors: [] });
    for (const id of ['controller-ready', 'controller-leader', 'injector-answers', 'authority-trusted']) {
      expect(results.get(id)).toMatchObject({ result: 'ok' });
    }
  }, 180_000);

  test('what the controller writes is no difference to what is applied, by whichever way', async () => {
    await eventually('the controller is trusted', async () => (await bundles()).every((bundle) => bundle !== ''));
    const before = await bundles();
    await kubectl(['diff', '--server-side', '--force-conflicts', '-f', '-'], manifests);
    await apply(manifests);
    expect(await bundles()).toEqual(before);
    await kubectl(['diff', '-f', '-'], manifests);
  });

  test('what is the controller’s own comes back where somebody takes it away', async () => {
    const before = await bundles();
    const empty = before.map((_, index) => ({ op: 'remove', path: `/webhooks/${index}/clientConfig/caBundle` }));
    await kubectl([
      'patch',
      'mutatingwebhookconfiguration',
      'meshwright-injector',
      '--type=json',
      '-p',
      JSON.stringify(empty),
    ]);
    await eventually('the bundles are back', async () => (await bundles()).join() === before.join());
  });
});

describe('the controller', () => {
  const may = async (...action: string[]): Promise<boolean> =>
    (await kubectl(['auth', 'can-i', ...action, '--as', controller]).catch(() => 'no')).trim() === 'yes';

  test.each([
    [['get', 'secrets', '-n', 'default'], false],
    [['list', 'secrets', '-n', system], false],
    [['get', 'secrets/meshwright-ca', '-n', system], true],
    [['get', 'secrets/other', '-n', system], false],
    [['list', 'configmaps', '-A'], false],
    [['patch', 'configmaps/meshwright-root', '-n', 'default'], true],
    [['patch', 'configmaps/other', '-n', 'default'], false],
    [['create', 'pods', '-n', system], false],
    [['delete', 'pods', '-n', 'default'], false],
    [['update', 'httproutes.gateway.networking.k8s.io', '-A'], false],
    [['update', 'httproutes.gateway.networking.k8s.io/x', '--subresource=status', '-A'], true],
    [['create', 'tokenreviews'], true],
    [['create', 'serviceaccounts', '--subresource=token', '-A'], false],
    [['impersonate', 'users'], false],
    [['escalate', 'clusterroles'], false],
    [['patch', 'mutatingwebhookconfigurations/meshwright-injector'], true],
    [['patch', 'mutatingwebhookconfigurations/other'], false],
  ])('asked whether it may %j: %s', async (action, allowed) => {
    expect(await may(...action)).toBe(allowed);
  });

  test('sees the trust bundles of all namespaces, and no other ConfigMap', async () => {
    const all = ['get', 'configmaps', '-A', '--as', controller];
    const { items } = await get<{ items: { metadata: { name: string } }[] }>(
      ...all.slice(1),
      '--field-selector=metadata.name=meshwright-root',
    );
    for (const { metadata } of items) expect(metadata.name).toBe('meshwright-root');
    await expect(kubectl(all)).rejects.toThrow('cannot list resource "configmaps"');
  });

  test('listens to nobody but proxies and the API server', async () => {
    const { items } = await get<{ items: { status: { podIP: string } }[] }>(
      ...['-n', system, 'pods', '-l', 'app.kubernetes.io/name=meshwright-controller'],
    );
    expect(items).toHaveLength(2);
    for (const { status } of items) {
      await expect(fetch(`http://${status.podIP}:15014/api/v1/findings`)).rejects.toThrow('fetch failed');
    }
  });
});

describe('check sees', () => {
  test('a namespace that would refuse sidecars, and a pod that is older than injection', async () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'early', namespace },
      spec: { containers: [{ name: 'app', image: 'meshwright.invalid/app' }] },
    };
    await kubectl(['create', 'namespace', namespace]);
    await kubectl(['create', '-f', '-'], JSON.stringify(pod));
    await kubectl([
      ...['label', 'namespace', namespace, 'meshwright.dev/inject=enabled'],
      'pod-security.kubernetes.io/enforce=baseline',
    ]);
    const { code, results } = await check();
    expect(code).toBe(3);
    expect(results.get('namespaces-admit')).toMatchObject({
      result: 'error',
      message: expect.stringContaining(namespace),
    });
    expect(results.get('pods-injected')).toMatchObject({
      result: 'warning',
      message: expect.stringContaining(`${namespace}/early`),
    });
    const refused = await meshwright('check', '-o', 'short');
    expect(refused.stdout).toContain('× the namespaces of the mesh admit sidecars\n');
  });

  test('what it may not look at', async () => {
    await kubectl(['-n', namespace, 'create', 'serviceaccount', 'curious']);
    const token = (await kubectl(['-n', namespace, 'create', 'token', 'curious'])).trim();
    const { clusters } = JSON.parse(await kubectl(['config', 'view', '--raw', '-o', 'json'])) as { clusters: object[] };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters,
      users: [{ name: 'curious', user: { token } }],
      contexts: [{ name: 'curious', context: { cluster: (clusters[0] as { name: string }).name, user: 'curious' } }],
    };
    using directory = new TemporaryDirectory();
    const file = await directory.write('config', JSON.stringify(config));
    const asCurious = ['--kubeconfig', file, '--context', 'curious'];
    const { results } = await check(...asCurious);
    expect(results.get('kubernetes-version')).toMatchObject({ result: 'ok' });
    expect(results.get('controller-installed')).toMatchObject({
      result: 'warning',
      message: expect.stringMatching(/^not known: .*deployments\.apps.* is forbidden/),
    });
    const before = await check('--pre', ...asCurious);
    expect(before.code).toBe(3);
    expect(before.results.get('permission-to-install')).toMatchObject({ result: 'error' });
  });
});
