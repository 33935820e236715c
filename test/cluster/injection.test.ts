import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { injectorConfiguration } from '../../runtime/injection/index.ts';
import { apply, eventually, get, kubectl } from './kubectl.ts';

/*
 * Pods that a real API server sends to the injector, and that a real kubelet runs.
 */

const namespace = 'injection';
const image = 'meshwright/example-shop:0.1.0';
const inNamespace = ['-n', namespace];

interface ContainerStatus {
  readonly name: string;
  readonly state: {
    readonly terminated?: { readonly startedAt: string; readonly finishedAt: string; readonly exitCode: number };
  };
}
interface Pod {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly initContainers?: readonly { readonly name: string }[];
    readonly volumes?: readonly { readonly name: string }[];
  };
  readonly status: {
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}
interface Event {
  readonly reason: string;
  readonly note?: string;
  readonly regarding?: { readonly kind: string; readonly name: string };
}
type List<T> = { readonly items: readonly T[] };

const server = `require('node:http').createServer((request, response) => response.end(request.url)).listen(8080)`;
const container = (script: string, rest: object = {}) => ({
  name: 'app',
  image,
  command: ['node', '-e', script],
  ...rest,
});
const podOf = (name: string, spec: object, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, ...metadata },
  spec: { terminationGracePeriodSeconds: 1, automountServiceAccountToken: false, ...spec },
});

const dryRun = async (object: object): Promise<Pod> =>
  JSON.parse(await kubectl(['create', '--dry-run=server', '-o', 'json', '-f', '-'], JSON.stringify(object)));
const create = (object: object) => kubectl(['create', '-f', '-'], JSON.stringify(object));

async function events(reason: string): Promise<readonly Event[]> {
  const { items } = await get<List<Event>>(...inNamespace, 'events.events.k8s.io');
  return items.filter((event) => event.reason === reason);
}

beforeAll(async () => {
  const labels = { 'meshwright.dev/inject': 'enabled' };
  await apply(JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } }));
}, 60_000);

afterAll(async () => {
  await kubectl(['delete', 'namespace', namespace, '--timeout=120s']);
}, 150_000);

describe('a pod of a namespace with the label', () => {
  it('has a proxy that can prove who it is and probe the app, whoever the app runs as', async () => {
    const users = {
      root: { runAsUser: 0 },
      'root-with-files': { runAsUser: 0, fsGroup: 2000 },
      user: { runAsUser: 1000, runAsNonRoot: true },
      'user-with-files': { runAsUser: 1000, runAsGroup: 1000, runAsNonRoot: true, fsGroup: 2000 },
    };
    const ports = [{ name: 'http', containerPort: 8080 }];
    const probes = {
      startupProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
      readinessProbe: { httpGet: { path: '/ready?$(POD_IP)', port: 'http' }, periodSeconds: 1 },
    };
    for (const [name, securityContext] of Object.entries(users)) {
      await create(podOf(name, { securityContext, containers: [container(server, { ports, ...probes })] }));
    }
    const names = Object.keys(users).map((name) => `pod/${name}`);
    await kubectl([...inNamespace, 'wait', '--for=condition=Ready', '--timeout=90s', ...names]);
    const { items } = await get<List<Pod>>(...inNamespace, 'pods');
    for (const { metadata, spec } of items) {
      expect(spec.initContainers?.map(({ name }) => name)).toEqual(['meshwright-redirect', 'meshwright-proxy']);
      expect(metadata.labels).toEqual({ 'meshwright.dev/proxy': 'sidecar', 'meshwright.dev/workload': metadata.name });
    }
    await kubectl([...inNamespace, 'delete', '--wait=false', ...names]);
  });

  it('is not ready while the app does not answer its probe', async () => {
    const readinessProbe = { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 };
    await create(podOf('mute', { containers: [container('setInterval(() => {}, 1e6)', { readinessProbe })] }));
    await eventually('the kubelet is told that the probe failed', async () => {
      const { items } = await get<List<Event>>(...inNamespace, 'events.events.k8s.io');
      return items.some(
        ({ reason, regarding, note }) =>
          reason === 'Unhealthy' && regarding?.name === 'mute' && note?.includes('Readiness'),
      );
    });
    await kubectl([...inNamespace, 'delete', 'pod', 'mute', '--wait=false']);
  });

  it('of a Job ends when its work is done; the proxy is there before the first and after the last of its own', async () => {
    const work = { name: 'prepare', image, command: ['node', '-e', ''] };
    await apply(
      JSON.stringify({
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: { name: 'once', namespace },
        spec: {
          backoffLimit: 0,
          template: { spec: { restartPolicy: 'Never', initContainers: [work], containers: [container('')] } },
        },
      }),
    );
    await kubectl([...inNamespace, 'wait', '--for=condition=Complete', '--timeout=90s', 'job/once']);
    const { items } = await get<List<Pod>>(...inNamespace, 'pods', '-l', 'job-name=once');
    const { initContainerStatuses = [], containerStatuses = [] } = items[0].status;
    const [redirect, proxy, prepare, app] = [...initContainerStatuses, ...containerStatuses].map(({ name, state }) => {
      const { startedAt = '', finishedAt = '', exitCode } = state.terminated ?? {};
      return { name, startedAt, finishedAt, exitCode };
    });
    expect([redirect.name, proxy.name]).toEqual(['meshwright-redirect', 'meshwright-proxy']);
    expect([redirect, proxy, prepare, app].map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0]);
    expect(redirect.finishedAt <= proxy.startedAt).toBe(true);
    expect(proxy.startedAt <= prepare.startedAt).toBe(true);
    expect(app.finishedAt <= proxy.finishedAt).toBe(true);
  });

  it('comes out the same where it was injected from a file before', async () => {
    const probe = { httpGet: { path: '/live?$(POD_IP)', port: 8080 } };
    const pod = podOf('twice', { containers: [container(server, { livenessProbe: probe })] });
    const cli = spawn(process.execPath, ['runtime/cli/main.ts', 'inject'], { stdio: ['pipe', 'pipe', 'ignore'] });
    const closed = once(cli, 'close');
    cli.stdin.end(JSON.stringify(pod));
    const offline = JSON.parse(await text(cli.stdout));
    await closed;
    const [byWebhook, byBoth] = [await dryRun(pod), await dryRun(offline)];
    expect(byBoth.spec).toEqual(byWebhook.spec);
    expect(byBoth.metadata.labels).toEqual(byWebhook.metadata.labels);
  });

  it('stays as it is where its own label says so', async () => {
    const outside = podOf(
      'outside',
      { containers: [container('')] },
      { labels: { 'meshwright.dev/inject': 'disabled' } },
    );
    const { spec, metadata } = await dryRun(outside);
    expect(spec.initContainers).toBeUndefined();
    expect(metadata.labels).toEqual({ 'meshwright.dev/inject': 'disabled' });
  });

  it('is left alone in the network of its node, with an event that says why', async () => {
    const onHost = podOf('on-host', { hostNetwork: true, containers: [container('')] });
    expect((await dryRun(onHost)).spec.initContainers).toBeUndefined();
    expect(await events('InjectionSkipped')).toEqual([]);
    await create(onHost);
    const [event] = await eventually('an event is written', async () => {
      const found = await events('InjectionSkipped');
      return found.length > 0 && found;
    });
    expect(event.regarding).toMatchObject({ kind: 'Pod', name: 'on-host' });
    expect(event.note).toContain('hostNetwork');
    await kubectl([...inNamespace, 'delete', 'pod', 'on-host', '--wait=false']);
  });

  it('is refused where what it says about its proxy is wrong; its owner has an event that says why', async () => {
    const annotations = { 'meshwright.dev/proxy-memory-limit': 'lots' };
    const wrong = { metadata: { labels: { app: 'wrong' }, annotations }, spec: { containers: [container('')] } };
    await expect(create(podOf('wrong', wrong.spec, { annotations }))).rejects.toThrow(
      /denied the request: the pod cannot have its proxy: MW1904 .*proxy-memory-limit is "lots"/,
    );
    await apply(
      JSON.stringify({
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'wrong', namespace },
        spec: { selector: { matchLabels: { app: 'wrong' } }, template: wrong },
      }),
    );
    const refused = await eventually('the ReplicaSet has an event', async () =>
      (await events('InjectionRefused')).find(({ regarding }) => regarding?.kind === 'ReplicaSet'),
    );
    expect(refused.note).toContain('MW1904');
    await kubectl([...inNamespace, 'delete', 'deployment', 'wrong', '--wait=false']);
  });
});

describe('an injector that is down', () => {
  const name = 'injection-test-down';
  const marked = { 'injection-test': 'down' };

  beforeAll(async () => {
    // The configuration as it is installed, with nobody behind it, and for marked pods only.
    const { webhooks, ...configuration } = injectorConfiguration();
    const down = webhooks.map((webhook) => ({
      ...webhook,
      name: `down.${webhook.name}`,
      clientConfig: { service: { ...webhook.clientConfig.service, name: 'nobody' } },
      objectSelector: {
        matchExpressions: [...webhook.objectSelector.matchExpressions, { key: 'injection-test', operator: 'Exists' }],
      },
    }));
    await apply(JSON.stringify({ ...configuration, metadata: { name }, webhooks: down }));
  });

  afterAll(async () => {
    await kubectl(['delete', 'mutatingwebhookconfiguration', name]);
  });

  const attempt = (where: string, labels: object = {}) =>
    dryRun(podOf('p', { containers: [container('')] }, { namespace: where, labels: { ...marked, ...labels } }));

  it('keeps pods of the mesh from starting without their proxy', async () => {
    await eventually('the API server knows the webhook', () =>
      attempt(namespace).then(
        () => false,
        (error) => /failed calling webhook/.test(String(error)),
      ),
    );
    await expect(attempt('default', { 'meshwright.dev/inject': 'enabled' })).rejects.toThrow(/failed calling webhook/);
  });

  it('keeps no other pod from starting', async () => {
    await attempt('default');
    await attempt(namespace, { 'meshwright.dev/inject': 'disabled' });
  });

  it.each(['kube-system', 'kube-public', 'kube-node-lease', 'meshwright-system'])(
    'never keeps a pod of %s from starting, even one that asks for a proxy',
    async (where) => {
      const restricted = {
        securityContext: { runAsUser: 1000, runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          container('', { securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } }),
        ],
      };
      const labels = { ...marked, 'meshwright.dev/inject': 'enabled' };
      const { spec } = await dryRun(podOf('p', restricted, { namespace: where, labels }));
      expect(spec.initContainers).toBeUndefined();
    },
  );
});
