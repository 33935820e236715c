import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ProxyView } from '../../runtime/controller/index.ts';
import { controllers } from './controllers.ts';
import { apply, eventually, kubectl } from './kubectl.ts';
import { binaries, kubeconfig } from './paths.ts';
import { type Usage, usageOf } from './processes.ts';

/*
 * Fifty pods of one mesh on one node: how long they take to start, what their proxies and the controllers use, and how
 * fast a change reaches all of them. The table that it prints is in docs/kubernetes.md.
 */

const namespace = 'fleet';
const size = 50;
const target = `${namespace}/target`;
const report: string[] = [];
const forwards: ChildProcess[] = [];
let apis: readonly string[] = [];

/** The API of a controller, on a port of this machine. */
async function forward(pod: string): Promise<string> {
  const args = ['kubectl', `--kubeconfig=${kubeconfig}`, '-n', 'meshwright-system', 'port-forward', pod, ':15014'];
  const child = spawn(join(binaries, 'hyperkube'), args, { stdio: ['ignore', 'pipe', 'ignore'] });
  forwards.push(child);
  const [line] = await once(child.stdout, 'data');
  return `http://127.0.0.1:${/127\.0\.0\.1:(\d+)/.exec(String(line))![1]}`;
}

/** What the proxies of the fleet have accepted of the target, by proxy. */
async function accepted(): Promise<ReadonlyMap<string, string | undefined>> {
  const answers = await Promise.all(apis.map((api) => fetch(`${api}/api/v1/proxies`)));
  const proxies = (await Promise.all(answers.map((answer) => answer.json() as Promise<ProxyView[]>))).flat();
  return new Map(
    proxies
      .filter(({ workload }) => workload === `${namespace}/member`)
      .map(({ id, acknowledged }) => [id, acknowledged.service?.[target]]),
  );
}

const route = (timeout: string) => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: 'target', namespace },
  spec: {
    parentRefs: [{ group: '', kind: 'Service', name: 'target', port: 80 }],
    rules: [{ backendRefs: [{ name: 'target', port: 80 }], timeouts: { request: timeout } }],
  },
});

const seconds = (since: number) => (performance.now() - since) / 1000;
const total = (usages: readonly Usage[], of: (usage: Usage) => number) =>
  usages.reduce((sum, usage) => sum + of(usage), 0);
const middle = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const most = (values: readonly number[]) => Math.max(...values);
const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

function tell(what: string, value: string): void {
  report.push(`${what.padEnd(58)} ${value}`);
}

function tellMemory(what: string, usages: readonly Usage[]): void {
  const words = (of: (usage: Usage) => number) => {
    const values = usages.map(of);
    return `${mebibytes(middle(values))}, at most ${mebibytes(most(values))}`;
  };
  tell(
    `${what}: own memory (RssAnon), median`,
    words(({ anonymous }) => anonymous),
  );
  tell(
    `${what}: resident memory (VmRSS), median`,
    words(({ resident }) => resident),
  );
}

beforeAll(async () => {
  const labels = { 'meshwright.dev/inject': 'enabled' };
  await apply(JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } }));
  const spec = { selector: { app: 'target' }, ports: [{ port: 80, appProtocol: 'http' }] };
  await apply(JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'target', namespace }, spec }));
  await apply(JSON.stringify(route('10s')));
}, 60_000);

afterAll(async () => {
  for (const child of forwards) child.kill();
  process.stderr.write(`${report.join('\n')}\n`);
  await kubectl(['delete', 'namespace', namespace, '--timeout=150s']);
}, 180_000);

describe(`a mesh of ${size} pods on one node`, () => {
  it('starts', async () => {
    const before = total(usageOf('controller', 'meshwright-system'), ({ cpu }) => cpu);
    const started = performance.now();
    const selector = { app: 'member' };
    await apply(
      JSON.stringify({
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'member', namespace },
        spec: {
          replicas: size,
          selector: { matchLabels: selector },
          template: {
            metadata: { labels: selector, annotations: { 'meshwright.dev/calls': target } },
            spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'app', image: 'localhost/pause:1' }] },
          },
        },
      }),
    );
    await kubectl(['-n', namespace, 'rollout', 'status', 'deployment/member', '--timeout=300s']);
    const took = seconds(started);
    const sidecars = usageOf('sidecar', namespace);
    expect(sidecars).toHaveLength(size);
    tell(`all ${size} pods are ready after`, `${took.toFixed(0)} s`);
    tell('CPU of a sidecar until then, median', `${middle(sidecars.map(({ cpu }) => cpu)).toFixed(2)} s`);
    const after = total(usageOf('controller', 'meshwright-system'), ({ cpu }) => cpu);
    tell('CPU of both controllers until then', `${(after - before).toFixed(2)} s`);
  }, 330_000);

  it('costs little while nothing happens', async () => {
    const window = 20;
    const before = { sidecars: usageOf('sidecar', namespace), controllers: usageOf('controller', 'meshwright-system') };
    await setTimeout(window * 1000);
    const sidecars = usageOf('sidecar', namespace);
    const both = usageOf('controller', 'meshwright-system');
    const share = (now: readonly Usage[], then: readonly Usage[]) =>
      (total(now, ({ cpu }) => cpu) - total(then, ({ cpu }) => cpu)) / window / now.length;
    const milli = (value: number) => `${(value * 1000).toFixed(1)} m`;
    tell('CPU of an idle sidecar, mean', milli(share(sidecars, before.sidecars)));
    tell('CPU of a controller while nothing changes, mean', milli(share(both, before.controllers)));
    tellMemory('a sidecar', sidecars);
    tellMemory('a controller', both);
    for (const { anonymous } of sidecars) expect(anonymous).toBeLessThan(64 * 2 ** 20);
    for (const { anonymous } of both) expect(anonymous).toBeLessThan(256 * 2 ** 20);
  }, 60_000);

  it('has a changed route at every proxy within a second', async () => {
    apis = await Promise.all((await controllers()).map(({ metadata }) => forward(metadata.name)));
    await eventually('every proxy is connected', async () => (await accepted()).size === size);
    const times: number[] = [];
    for (const timeout of ['11s', '12s', '13s']) {
      const before = await accepted();
      await apply(JSON.stringify(route(timeout)));
      const written = performance.now();
      for (;;) {
        const now = await accepted();
        if ([...before].every(([id, version]) => now.get(id) !== undefined && now.get(id) !== version)) break;
        if (seconds(written) > 30) throw new Error('the change has not reached all proxies in 30 s');
        await setTimeout(10);
      }
      times.push(seconds(written) * 1000);
    }
    tell('a changed route is in force at all proxies after, median', `${middle(times).toFixed(0)} ms`);
    expect(middle(times)).toBeLessThan(1000);
  }, 120_000);
});
