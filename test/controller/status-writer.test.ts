import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  createKubernetesProvider,
  type KubernetesProvider,
} from '../../runtime/controller/kubernetes/kubernetes-provider.ts';
import { sourcesOf } from '../../runtime/controller/kubernetes/status/programmed.ts';
import { StatusWriter } from '../../runtime/controller/kubernetes/status/status-writer.ts';
import type { RawObject } from '../../runtime/kubernetes/index.ts';
import { translate } from '../../runtime/translate/index.ts';
import { MemoryApi } from '../kubernetes/memory-api.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { silent } from './proxy.ts';

const gatewayApi = 'gateway.networking.k8s.io/v1';
const ours = 'meshwright.dev/gateway-controller';
const theirs = 'other.example/controller';

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
const parentRef = { group: '', kind: 'Service', name: 'web', port: 80 };
const route = (parentRefs: unknown[] = [parentRef]): RawObject => ({
  apiVersion: gatewayApi,
  kind: 'HTTPRoute',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { parentRefs, rules: [{ backendRefs: [{ name: 'web', port: 80 }] }] },
});
const policy: RawObject = {
  apiVersion: 'meshwright.dev/v1alpha1',
  kind: 'RateLimitPolicy',
  metadata: { name: 'calm', namespace: 'shop' },
  spec: {
    targetRefs: [{ group: '', kind: 'Service', name: 'web' }],
    limits: [{ requests: 5, interval: '1s' }],
  },
};
const gateway = (extra: object = {}): RawObject => ({
  apiVersion: gatewayApi,
  kind: 'Gateway',
  metadata: { name: 'edge', namespace: 'shop' },
  spec: {
    gatewayClassName: 'meshwright',
    listeners: [
      { name: 'http', port: 8080, protocol: 'HTTP' },
      { name: 'rpc', port: 8081, protocol: 'HTTP', allowedRoutes: { kinds: [{ kind: 'GRPCRoute' }] } },
    ],
  },
  ...extra,
});
const pod: RawObject = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'edge-0',
    namespace: 'shop',
    labels: { app: 'edge', 'gateway.networking.k8s.io/gateway-name': 'edge', 'meshwright.dev/proxy': 'sidecar' },
  },
  spec: { serviceAccountName: 'edge', containers: [{ name: 'proxy' }] },
  status: { podIP: '10.0.0.1', phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
};

let clock: ManualClock;
let api: MemoryApi;
let provider: KubernetesProvider;
let writer: StatusWriter;

/** Reads what the cluster has, and writes statuses from then on. */
async function start(...objects: RawObject[]): Promise<void> {
  for (const object of objects) api.put(object);
  writer = new StatusWriter({ api, provider, clock, random: () => 0, logger: silent });
  writer.start();
  await refresh();
}

/** What the controller does when objects changed. */
async function refresh(): Promise<void> {
  const manifest = await provider.read();
  writer.update({ objects: manifest.objects, statuses: translate(manifest.objects).statuses });
}

async function pass(milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 100) {
    clock.advance(100);
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}
interface Status {
  readonly conditions?: Condition[];
  readonly parents?: { controllerName: string; parentRef: object; conditions: Condition[] }[];
  readonly listeners?: { name: string; attachedRoutes: number; supportedKinds: object[]; conditions: Condition[] }[];
  readonly addresses?: object[];
}
const statusOf = (kind: string, name: string) => (api.get(kind, name)?.status ?? {}) as Status;
const written = (kind: string, name: string) =>
  eventually(() => {
    const status = statusOf(kind, name);
    return (status.conditions ?? status.parents ?? []).length > 0 && status;
  });
const writes = () => api.calls.filter(({ verb }) => verb === 'replace').length;

beforeEach(() => {
  clock = new ManualClock();
  api = new MemoryApi(clock);
  provider = createKubernetesProvider({ api, clock, random: () => 0, logger: silent });
});

afterEach(async () => {
  writer.stop();
  await provider.close();
});

describe('the status of a route', () => {
  it('says for each of its parents how it stands, for the generation that was read', async () => {
    await start(service('web'), route());
    const { parents } = await written('HTTPRoute', 'web');
    expect(parents).toMatchObject([
      {
        parentRef,
        controllerName: ours,
        conditions: [
          { type: 'Accepted', status: 'True', reason: 'Accepted', observedGeneration: 1 },
          { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs' },
        ],
      },
    ]);
    expect(parents![0].conditions[0].lastTransitionTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  });

  it('is written once, and read by nobody where it is right already', async () => {
    await start(service('web'), route());
    await written('HTTPRoute', 'web');
    const before = writes();
    for (let time = 0; time < 5; time++) {
      await refresh();
      await pass(1_500);
    }
    expect(writes()).toBe(before);
    const another = new MemoryApi(clock);
    for (const object of [service('web'), api.get('HTTPRoute', 'web')!]) another.put(object);
    writer.stop();
    await provider.close();
    provider = createKubernetesProvider({ api: another, clock, random: () => 0, logger: silent });
    writer = new StatusWriter({ api: another, provider, clock, random: () => 0, logger: silent });
    writer.start();
    await refresh();
    await pass(3_000);
    expect(another.calls.filter(({ verb }) => verb !== 'list' && verb !== 'watch')).toStrictEqual([]);
  });

  it('keeps the time of its last transition while nothing but the message or the generation changes', async () => {
    await start(service('web'), route());
    const first = (await written('HTTPRoute', 'web')).parents![0].conditions[0];
    await pass(5_000);
    api.put({ ...route(), spec: { ...(route().spec as object), hostnames: ['web.example'] } });
    await refresh();
    await pass(2_000);
    const [second] = statusOf('HTTPRoute', 'web').parents![0].conditions;
    expect(second).toMatchObject({ observedGeneration: 2, lastTransitionTime: first.lastTransitionTime });
    api.delete('Service', 'web');
    await refresh();
    await pass(2_000);
    const [third] = statusOf('HTTPRoute', 'web').parents![0].conditions;
    expect(third.status).toBe('False');
    expect(Date.parse(third.lastTransitionTime)).toBeGreaterThan(Date.parse(first.lastTransitionTime));
  });

  it('keeps what other controllers say, in the order they like, and takes back only what is ours', async () => {
    const entry = { parentRef: { name: 'lb' }, controllerName: theirs, conditions: [] };
    const mine = (name: string) => ({ parentRef: { ...parentRef, name }, controllerName: ours, conditions: [] });
    await start(service('web'), { ...route(), status: { parents: [mine('gone'), mine('web'), entry] } });
    await pass(500);
    const { parents } = statusOf('HTTPRoute', 'web');
    expect(parents!.map(({ controllerName }) => controllerName)).toStrictEqual([ours, theirs]);
    expect(parents![0]).toMatchObject({ parentRef, conditions: [{ type: 'Accepted' }, { type: 'ResolvedRefs' }] });
    // The route is none of ours any more.
    api.put({ ...route([{ name: 'lb' }]), status: { parents } });
    await refresh();
    await pass(2_000);
    expect(statusOf('HTTPRoute', 'web').parents).toStrictEqual([entry]);
    const before = writes();
    await refresh();
    await pass(2_000);
    expect(writes()).toBe(before);
  });

  it('claims no gateway that is not there, or of another class', async () => {
    const lb = {
      ...gateway({ spec: { gatewayClassName: 'other', listeners: [{ name: 'a', port: 80, protocol: 'HTTP' }] } }),
    };
    await start(
      service('web'),
      { ...lb, metadata: { ...lb.metadata, name: 'lb' } },
      route([{ name: 'lb' }, { name: 'nowhere' }]),
    );
    await pass(2_000);
    expect(statusOf('HTTPRoute', 'web')).toStrictEqual({});
  });

  it('is put right when somebody overwrites it', async () => {
    await start(service('web'), route());
    await written('HTTPRoute', 'web');
    api.put({ ...route(), status: { parents: [] } });
    await pass(1_500);
    expect(statusOf('HTTPRoute', 'web').parents).toHaveLength(1);
  });

  it('is read anew where somebody else was faster', async () => {
    let raced = false;
    api.intercept = ({ verb }) => {
      if (verb !== 'replace' || raced) return;
      raced = true;
      const entry = { parentRef: { name: 'lb' }, controllerName: theirs, conditions: [] };
      api.put({ ...route(), status: { parents: [entry] } });
    };
    await start(service('web'), route());
    await pass(2_500);
    expect(statusOf('HTTPRoute', 'web').parents!.map(({ controllerName }) => controllerName)).toStrictEqual([
      theirs,
      ours,
    ]);
  });
});

describe('the writer of statuses', () => {
  it('writes nothing unless it is the leader, and nothing any more when it is not', async () => {
    await start();
    writer.stop();
    api.put(service('web'));
    api.put(route());
    await pass(2_000);
    await refresh();
    await pass(2_000);
    expect(writes()).toBe(0);
    writer.start();
    await written('HTTPRoute', 'web');
    writer.stop();
    api.put({ ...route(), status: { parents: [] } });
    await pass(2_000);
    expect(statusOf('HTTPRoute', 'web').parents).toStrictEqual([]);
  });

  it('writes nothing that it began as leader once it is none', async () => {
    api.intercept = ({ verb }) => {
      if (verb === 'read') writer.stop();
    };
    await start(service('web'), route());
    await pass(2_000);
    expect(api.calls.some(({ verb }) => verb === 'read')).toBe(true);
    expect(writes()).toBe(0);
  });

  it('does not fight with one that answers each write with another', async () => {
    await start(service('web'), route());
    provider.onTouch(({ kind }) => {
      const { parents = [] } = statusOf('HTTPRoute', 'web');
      if (kind === 'HTTPRoute' && parents.length > 0) api.put({ ...route(), status: { parents: [] } });
    });
    await pass(20_000);
    expect(writes()).toBeLessThan(25);
  });

  it('goes on when writing is forbidden', async () => {
    const reasons: unknown[] = [];
    const logger = { info: () => {}, warn: (details: object) => reasons.push(details) };
    api.intercept = ({ verb }) => {
      if (verb === 'replace') throw new Error('forbidden');
    };
    for (const object of [service('web'), route()]) api.put(object);
    writer = new StatusWriter({ api, provider, clock, random: () => 0, logger });
    writer.start();
    await refresh();
    await pass(20_000);
    expect(reasons).toMatchObject([{ object: 'HTTPRoute shop/web', reason: 'Error: forbidden' }]);
    api.intercept = () => {};
    await pass(10_000);
    expect(statusOf('HTTPRoute', 'web').parents).toHaveLength(1);
  });
});

describe('the status of a policy', () => {
  it('says whether it is accepted and whether proxies do as it says', async () => {
    await start(service('web'), policy);
    expect((await written('RateLimitPolicy', 'calm')).conditions).toMatchObject([
      { type: 'Accepted', status: 'True' },
      { type: 'ResolvedRefs', status: 'True' },
      { type: 'Programmed', status: 'True', reason: 'Programmed' },
    ]);
    writer.refuse(new Map([['RateLimitPolicy shop/calm', 'web-0.shop: too calm']]));
    await pass(2_000);
    const programmed = () => statusOf('RateLimitPolicy', 'calm').conditions![2];
    expect(programmed()).toMatchObject({ status: 'False', reason: 'Invalid', message: 'web-0.shop: too calm' });
    writer.refuse(new Map());
    await pass(2_000);
    expect(programmed()).toMatchObject({ status: 'True', message: '' });
  });

  it('says that one which is not accepted is not done', async () => {
    await start(policy);
    expect((await written('RateLimitPolicy', 'calm')).conditions).toMatchObject([
      { type: 'Accepted', status: 'False' },
      { type: 'ResolvedRefs', status: 'False', reason: 'TargetNotFound' },
      { type: 'Programmed', status: 'False', reason: 'Invalid' },
    ]);
  });

  it('keeps conditions of others, which have a domain in their name', async () => {
    const conditions = [
      { type: 'other.example/Checked', status: 'True', reason: 'Fine', message: '' },
      { type: 'Stale', status: 'True', reason: 'Old', message: '' },
    ];
    await start(service('web'), { ...policy, status: { conditions } });
    await pass(500);
    const types = statusOf('RateLimitPolicy', 'calm').conditions!.map(({ type }) => type);
    expect(types).toStrictEqual(['Accepted', 'ResolvedRefs', 'Programmed', 'other.example/Checked']);
  });
});

describe('the status of a gateway', () => {
  it('has its conditions, its listeners with what they take, and the addresses of its Service', async () => {
    const edge = { ...service('edge'), spec: { ...(service('edge').spec as object), selector: { app: 'edge' } } };
    await start(service('web'), edge, pod, gateway());
    const { conditions, listeners, addresses } = await written('Gateway', 'edge');
    expect(conditions).toMatchObject([
      { type: 'Accepted', status: 'True' },
      { type: 'Programmed', status: 'True' },
    ]);
    expect(listeners).toMatchObject([
      {
        name: 'http',
        attachedRoutes: 0,
        supportedKinds: [
          { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute' },
          { group: 'gateway.networking.k8s.io', kind: 'GRPCRoute' },
        ],
      },
      { name: 'rpc', supportedKinds: [{ kind: 'GRPCRoute' }] },
    ]);
    expect(addresses).toStrictEqual([{ type: 'IPAddress', value: '10.96.0.7' }]);
    // A load balancer takes over.
    api.put({ ...edge, status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }, { hostname: 'lb.example' }] } } });
    await pass(2_000);
    expect(statusOf('Gateway', 'edge').addresses).toStrictEqual([
      { type: 'IPAddress', value: '192.0.2.1' },
      { type: 'Hostname', value: 'lb.example' },
    ]);
  });

  it('says that a proxy refused it', async () => {
    await start(pod, gateway());
    await written('Gateway', 'edge');
    writer.refuse(new Map([['Gateway shop/edge', 'edge-0.shop: no']]));
    await pass(2_000);
    expect(statusOf('Gateway', 'edge').conditions).toMatchObject([
      { type: 'Accepted', status: 'True' },
      { type: 'Programmed', status: 'False', reason: 'Invalid', message: 'edge-0.shop: no' },
    ]);
  });

  it('is somebody else’s where its class is', async () => {
    await start(
      gateway({ spec: { gatewayClassName: 'other', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] } }),
    );
    await pass(2_000);
    expect(api.get('Gateway', 'edge')?.status).toBeUndefined();
  });
});

describe('what a resource was made of', () => {
  it('is told by the references in it', async () => {
    await start(service('web'), route(), policy);
    const { objects } = await provider.read();
    const web = translate(objects).resources.find(({ kind, name }) => kind === 'service' && name === 'shop/web')!;
    expect(sourcesOf(web)).toStrictEqual([{ kind: 'HTTPRoute', namespace: 'shop', name: 'web' }]);
  });
});
