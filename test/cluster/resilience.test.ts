import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Agent } from './agent.ts';
import { controllers, install, lease, rolledOut, scaleControllers } from './controllers.ts';
import { apply, eventually, get, kubectl } from './kubectl.ts';
import { MeshLoad } from './mesh-load.ts';
import { importNextVersion, words } from './next-version.ts';
import { scripts } from './paths.ts';

/*
 * What is done to a cluster in its life, under a load that both sidecars carry: no request may fail of it.
 */

const namespace = 'resilience';
const inNamespace = ['-n', namespace];
const image = 'meshwright/example-shop:0.1.0';
const system = 'meshwright-system';
let load: MeshLoad;
let agent: Agent;
let nextImage: string;

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly initContainers: readonly { readonly name: string; readonly image: string }[] };
  readonly status: {
    readonly initContainerStatuses: readonly { readonly restartCount: number; readonly ready: boolean }[];
    readonly containerStatuses: readonly { readonly restartCount: number; readonly ready: boolean }[];
  };
}

interface Secret {
  readonly data: Readonly<Record<string, string>>;
}
const authority = () => get<Secret>('-n', system, 'secret', 'meshwright-ca');
const rotation = async () => {
  const { data } = await authority();
  return JSON.parse(Buffer.from(data['rotation.json'] ?? 'e30=', 'base64').toString('utf8')) as {
    phase?: string;
    since: string;
  };
};

/** As if a day had passed since the last step of a change of root. */
async function passADay(): Promise<void> {
  const step = await rotation();
  const past = JSON.stringify({ ...step, since: new Date(Date.parse(step.since) - 26 * 3_600_000) });
  const data = { 'rotation.json': Buffer.from(past).toString('base64') };
  await kubectl(['-n', system, 'patch', 'secret', 'meshwright-ca', '-p', JSON.stringify({ data })]);
}

/** In a cluster that is used again one may be under way. */
async function finishRotation(): Promise<void> {
  for (let { phase } = await rotation(); phase; { phase } = await rotation()) {
    await passADay();
    await eventually('the next step is taken', async () => (await rotation()).phase !== phase, 90_000);
  }
}

beforeAll(async () => {
  await finishRotation();
  nextImage = await importNextVersion();
  load = await MeshLoad.start(namespace, image);
  agent = await Agent.start(namespace, 'default', image);
}, 480_000);

afterAll(async () => {
  await load?.stop();
}, 150_000);

const meshwright = (...args: readonly string[]) =>
  execFileSync(process.execPath, ['runtime/cli/main.ts', ...args], { encoding: 'utf8' });

async function restartServer(): Promise<void> {
  await kubectl([...inNamespace, 'rollout', 'restart', 'deployment/server']);
  await kubectl([...inNamespace, 'rollout', 'status', 'deployment/server', '--timeout=120s']);
}

const pods = async (app: string) =>
  (await get<{ items: Pod[] }>(...inNamespace, 'pods', '-l', `app=${app}`)).items.filter(
    ({ metadata }) => !metadata.deletionTimestamp,
  );
const sidecarImages = async (app: string) =>
  (await pods(app)).map(({ spec }) => spec.initContainers.find(({ name }) => name === 'meshwright-proxy')?.image);

describe('a change of the root', () => {
  const expiries = async () => {
    const addresses = [...(await load.pods('server')).values(), ...(await load.pods('client')).values()];
    const metric = 'meshwright_certificate_expiry_timestamp_seconds';
    return new Map(await Promise.all(addresses.map(async (at) => [at, await load.metric(at, metric)] as const)));
  };

  it('renews the certificate of every proxy; then the new root signs beside the old one', async () => {
    const failures = await load.failuresDuring(
      async () => {
        const before = await expiries();
        expect(meshwright('rotate-root')).toContain('a new root is announced, within a minute');
        await eventually(
          'every proxy has a new certificate',
          async () => {
            const now = await expiries();
            return [...before].every(([address, expiry]) => now.get(address)! > expiry);
          },
          240_000,
        );
        expect((await rotation()).phase).toBe('announced');
      },
      { keepsStreams: true },
    );
    expect(failures).toEqual([]);

    const mixed = await load.failuresDuring(async () => {
      await passADay();
      // Controllers that start read it at once.
      await kubectl(['-n', system, 'rollout', 'restart', 'deployment/meshwright-controller']);
      await rolledOut();
      await eventually('the new root signs', async () => (await rotation()).phase === 'retiring', 90_000);
      await restartServer();
    });
    expect(mixed).toEqual([]);
  }, 480_000);
});

describe('an upgrade', () => {
  it('replaces controllers, then sidecars, which talk to those of the version before', async () => {
    const [current] = await sidecarImages('server');
    const failures = await load.failuresDuring(async () => {
      await install('--image', nextImage);
      expect((await controllers()).map(({ spec }) => spec.containers[0].image)).toEqual([nextImage, nextImage]);
      // A new sidecar calls old ones.
      await agent.stop();
      await kubectl([...inNamespace, 'wait', '--for=delete', `pod/${agent.pod}`, '--timeout=60s']);
      agent = await Agent.start(namespace, 'default', image);
      expect(await sidecarImages('server')).toEqual([current, current]);
      expect(await agent.send('server:8080')).toMatchObject({ status: 200 });
      // An old sidecar, that of the load, calls new ones.
      await restartServer();
      expect(await sidecarImages('server')).toEqual([nextImage, nextImage]);
      expect(await sidecarImages('client')).toEqual([current]);
    });
    expect(failures).toEqual([]);
  }, 300_000);

  it('is undone in the same way', async () => {
    const failures = await load.failuresDuring(async () => {
      await install();
      await restartServer();
    });
    expect(failures).toEqual([]);
    const [current] = await sidecarImages('client');
    expect(await sidecarImages('server')).toEqual([current, current]);
  }, 300_000);
});

describe('controllers of two versions', () => {
  const other = 'next-meshwright-controller';
  const judged = {
    apiVersion: 'meshwright.dev/v1alpha1',
    kind: 'AccessPolicy',
    metadata: { name: 'judged', namespace },
  };
  interface Judged {
    readonly metadata: { readonly resourceVersion: string };
    readonly status?: { readonly conditions?: readonly { readonly message: string }[] };
  }
  const policy = () => get<Judged>(...inNamespace, 'accesspolicy', 'judged');
  const verdict = async () => (await policy()).status?.conditions?.[0].message ?? '';
  const resourceVersion = async (...object: readonly string[]) =>
    (await get<Judged>(...object)).metadata.resourceVersion;
  /** Of everything that the leader writes. */
  const written = async () => [
    await resourceVersion(...inNamespace, 'accesspolicy', 'judged'),
    await resourceVersion(...inNamespace, 'configmap', 'meshwright-root'),
    await resourceVersion('mutatingwebhookconfiguration', 'meshwright-injector'),
    (await lease()).spec.holderIdentity,
    (await lease()).spec.leaseTransitions,
  ];
  /** Gives every controller reason to write, several times; whether one did. */
  const staysStill = async () => {
    for (let round = 0; round < 3; round++) {
      await kubectl([...inNamespace, 'annotate', '--overwrite', 'accesspolicy', 'judged', `round=${Math.random()}`]);
      await kubectl(['annotate', '--overwrite', 'namespace', namespace, `round=${Math.random()}`]);
      const before = await written();
      await setTimeout(4_000);
      expect(await written()).toEqual(before);
    }
  };

  it('do not fight: who leads writes once, the other one never', async () => {
    const spec = { targetRefs: [{ group: '', kind: 'Service', name: 'absent' }], rules: [] };
    await apply(JSON.stringify({ ...judged, spec }));
    const failures = await load.failuresDuring(async () => {
      await scaleControllers(1);
      const [{ metadata: only }] = await controllers();
      await eventually('it leads', async () => (await lease()).spec.holderIdentity.startsWith(`${only.name}_`));
      await eventually('the status is of this version', async () => (await verdict()).includes(words.now));
      const running = await get<{ metadata: object; spec: { template: { spec: { containers: object[] } } } }>(
        ...['-n', system, 'deployment', 'meshwright-controller'],
      );
      const { spec } = running;
      spec.template.spec.containers = spec.template.spec.containers.map((each) => ({ ...each, image: nextImage }));
      const metadata = { name: other, namespace: system };
      await apply(JSON.stringify({ apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec }));
      await kubectl(['-n', system, 'rollout', 'status', `deployment/${other}`, '--timeout=120s']);
      const leader = (await lease()).spec.holderIdentity;
      await staysStill();
      expect((await lease()).spec.holderIdentity).toBe(leader);
      expect(await verdict()).toContain(words.now);

      await scaleControllers(0);
      await eventually('the other version leads', async () => (await verdict()).includes(words.next));
      await scaleControllers(1);
      await staysStill();
      expect(await verdict()).toContain(words.next);
    });
    expect(failures).toEqual([]);
  }, 300_000);

  afterAll(async () => {
    await scaleControllers(2);
    await kubectl(['-n', system, 'delete', 'deployment', other, '--ignore-not-found']);
    await kubectl([...inNamespace, 'delete', 'accesspolicy', 'judged', '--ignore-not-found']);
  }, 120_000);
});

describe('an API server that is away for 30 seconds', () => {
  const apiServer = (action: 'stop' | 'start') => execFileSync('bash', [join(scripts, 'api-server.sh'), action]);

  afterAll(() => {
    apiServer('start');
  });

  it('is missed by nobody, and what changes later arrives', async () => {
    const before = await controllers();
    const since = Date.now();
    const failures = await load.failuresDuring(
      async () => {
        apiServer('stop');
        await setTimeout(30_000);
        // This proxy has never called it: the controllers answer from what they have.
        expect(await agent.send('server:8080')).toMatchObject({ status: 200 });
        apiServer('start');
        await eventually('a controller leads', async () => Date.parse((await lease()).spec.renewTime) > since + 30_000);
        await apply(JSON.stringify(stampingRoute));
        await eventually('a new route is in force', async () => {
          const { headers } = await agent.send('server:8080');
          return headers['x-stamp'] === 'after';
        });
      },
      { keepsStreams: true },
    );
    expect(failures).toEqual([]);
    expect(await controllers()).toMatchObject(
      before.map(({ metadata, status }) => ({
        metadata: { name: metadata.name },
        status: { containerStatuses: status.containerStatuses!.map(({ restartCount }) => ({ restartCount })) },
      })),
    );
  }, 180_000);

  const stampingRoute = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'stamp', namespace },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: 'server', port: 8080 }],
      rules: [
        {
          filters: [
            { type: 'ResponseHeaderModifier', responseHeaderModifier: { set: [{ name: 'x-stamp', value: 'after' }] } },
          ],
          backendRefs: [{ name: 'server', port: 8080 }],
        },
      ],
    },
  };
});

describe('without any controller', () => {
  interface Event {
    readonly reason: string;
    readonly note?: string;
    readonly regarding?: { readonly kind: string; readonly name: string };
  }
  const eventsOf = async (kind: string, name: string) =>
    (await get<{ items: Event[] }>(...inNamespace, 'events.events.k8s.io')).items.filter(
      ({ regarding }) => regarding?.kind === kind && regarding.name.startsWith(name),
    );
  /** The container may be gone before the command in it has ended. */
  const restart = async (pod: string, container: string) => {
    const command = ['node', '-e', 'process.kill(1, "SIGTERM")'];
    const outcome = kubectl([...inNamespace, 'exec', pod, '-c', container, '--', ...command]);
    await outcome.catch((error: Error) => {
      if (!error.message.endsWith('exit code 137')) throw error;
    });
  };
  const waiting = (name: string, spec: object = {}) => ({
    metadata: { name, namespace, labels: { app: name } },
    spec: {
      ...spec,
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'app', image, command: ['node', '-e', 'setInterval(() => {}, 1e6)'] }],
    },
  });
  const isReady = (name: string) =>
    kubectl([...inNamespace, 'wait', '--for=condition=Ready', '--timeout=0', `pod/${name}`]);

  // Injected while there was a controller, and started when there is none: as after the restart of a node.
  beforeAll(async () => {
    await apply(
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        ...waiting('held', { schedulingGates: [{ name: 'test/hold' }] }),
      }),
    );
    await scaleControllers(0);
  }, 120_000);

  afterAll(() => scaleControllers(2), 120_000);

  it('traffic and new connections go on', async () => {
    expect(await load.failuresDuring(() => setTimeout(5_000), { keepsStreams: true })).toEqual([]);
  });

  it.each([
    ['an application', 'app'],
    ['a proxy', 'meshwright-proxy'],
  ])('%s that starts anew is back in its pod', async (_what, container) => {
    const [{ metadata }] = await pods('server');
    const restarts = async () => {
      const { status } = (await pods('server')).find(({ metadata: { name } }) => name === metadata.name)!;
      const all = [...status.initContainerStatuses, ...status.containerStatuses];
      return {
        count: all.reduce((sum, { restartCount }) => sum + restartCount, 0),
        ready: status.containerStatuses.every(({ ready }) => ready),
      };
    };
    const before = await restarts();
    const failures = await load.failuresDuring(async () => {
      await restart(metadata.name, container);
      await eventually('the pod is ready again', async () => {
        const { count, ready } = await restarts();
        return count > before.count && ready && isReady(metadata.name);
      });
    });
    expect(failures).toEqual([]);
  });

  it('a pod that starts says what it waits for', async () => {
    await kubectl([
      ...[...inNamespace, 'patch', 'pod', 'held', '--type=json'],
      ...['-p', JSON.stringify([{ op: 'remove', path: '/spec/schedulingGates' }])],
    ]);
    const log = await eventually('its proxy tells', async () => {
      const text = await kubectl([...inNamespace, 'logs', 'held', '-c', 'meshwright-proxy']);
      return text.includes('no certificate was issued') && text;
    });
    expect(log).toContain('the controller at meshwright-controller.meshwright-system.svc:15010 does not answer');
    expect(log).toContain('meshwright check');
    await eventually('the kubelet tells', async () =>
      (await eventsOf('Pod', 'held')).some(({ note }) => note?.includes('Startup probe failed')),
    );
  });

  it('a pod of the mesh that is to be made is refused, and its owner told why', async () => {
    const { metadata, spec } = waiting('late');
    const template = { metadata: { labels: metadata.labels }, spec: { ...spec, terminationGracePeriodSeconds: 1 } };
    const selector = { matchLabels: metadata.labels };
    await apply(JSON.stringify({ apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { selector, template } }));
    const { note } = await eventually('the ReplicaSet has an event', async () =>
      (await eventsOf('ReplicaSet', 'late')).find(({ reason }) => reason === 'FailedCreate'),
    );
    expect(note).toContain('failed calling webhook "namespace.inject.meshwright.dev"');
    expect(note).toContain('https://meshwright-controller.meshwright-system.svc:443/inject/namespace');
  });

  it('all of them run by themselves once there are controllers again', async () => {
    const failures = await load.failuresDuring(
      async () => {
        await scaleControllers(2);
        await kubectl([...inNamespace, 'wait', '--for=condition=Ready', 'pod/held', '--timeout=60s']);
        await kubectl([...inNamespace, 'rollout', 'status', 'deployment/late', '--timeout=120s']);
      },
      { keepsStreams: true },
    );
    expect(failures).toEqual([]);
  }, 240_000);
});
