import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { defaultImage } from '../../runtime/resources/index.ts';
import { apply, eventually, get, kubectl } from './kubectl.ts';
import { container, onHost, ports, Speaker } from './semantics/speaker.ts';

/*
 * What kinds of Services and pods mean to the mesh, between real pods with real sidecars, and what becomes of bad input.
 */

const inside = 'semantics-mesh';
const outside = 'semantics-outside';
const image = 'meshwright/example-shop:0.1.0';
const inMesh = ['-n', inside];
const trustDomain = 'cluster.local';
const callerOf = (account: string): string => `URI=spiffe://${trustDomain}/ns/${inside}/sa/${account}`;
const host = (service: string, namespace = inside): string => `${service}.${namespace}.svc.cluster.local`;

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
}
interface Judged {
  readonly metadata: { readonly generation: number };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly parents?: readonly { readonly conditions: readonly Condition[] }[];
  };
}
type List<T> = { readonly items: readonly T[] };

const account = (name: string) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: inside } });
const service = (name: string, spec: object, namespace = inside) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace },
  spec,
});
const servicePorts = [
  { name: 'http', port: 80, targetPort: ports.http, appProtocol: 'http' },
  { name: 'greeting', port: ports.greeting },
  { name: 'metrics', port: ports.metrics, appProtocol: 'http' },
];
const podPorts = [
  { name: 'http', port: ports.http, appProtocol: 'http' },
  { name: 'greeting', port: ports.greeting },
];
const skipped = { 'meshwright.dev/skip-inbound-ports': `${ports.control},${ports.metrics}` };
const template = (app: string, spec: object = {}, labels: object = {}) => ({
  metadata: { labels: { app, ...labels }, annotations: skipped },
  spec: { serviceAccountName: app, terminationGracePeriodSeconds: 1, containers: [container(image)], ...spec },
});
const pod = (name: string, of: ReturnType<typeof template>, namespace = inside) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  ...of,
  metadata: { ...of.metadata, name, namespace },
});
const slice = (service: string, addresses: readonly string[]) => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: `${service}-by-hand`, namespace: inside, labels: { 'kubernetes.io/service-name': service } },
  addressType: 'IPv4',
  ports: [{ name: '', port: ports.http, protocol: 'TCP' }],
  endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
});
const route = (name: string, spec: object, kind = 'HTTPRoute') => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind,
  metadata: { name, namespace: inside },
  spec,
});
const own = (kind: string, name: string, spec: object, namespace = inside) => ({
  apiVersion: 'meshwright.dev/v1alpha1',
  kind,
  metadata: { name, namespace },
  spec,
});
const toService = (name: string, sectionName?: string) => [
  { group: '', kind: 'Service', name, ...(sectionName && { sectionName }) },
];

const put = (...objects: readonly object[]) => apply(objects.map((object) => JSON.stringify(object)).join('\n---\n'));
const remove = (kind: string, name: string) => kubectl([...inMesh, 'delete', kind, name, '--wait=false']);

/** A request from outside of the cluster, to a port of its node. */
function visit(port: number, path = '/'): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve) => {
    const sent = request({ host: nodeAddress, port, path, agent: false, timeout: 4_000 }, async (response) => {
      resolve({ status: response.statusCode ?? 0, body: await text(response) });
    });
    sent.on('timeout', () => sent.destroy(new Error('timeout')));
    sent.on('error', (error) => resolve({ status: 0, body: String(error) }));
    sent.end();
  });
}

async function nodePortOf(name: string): Promise<number> {
  const { spec } = await get<{ spec: { ports: readonly { nodePort: number }[] } }>(...inMesh, 'service', name);
  return spec.ports[0].nodePort;
}

let nodeAddress = '';
/** Pods of the StatefulSet, of a client, without proxy, in the network of the node, and one that is never ready. */
let web: readonly [Speaker, Speaker];
let client: Speaker;
let stranger: Speaker;
let neighbour: Speaker;
let shy: Speaker;
let unmeshed: Speaker;

beforeAll(async () => {
  const { items } = await get<List<{ status: { addresses: readonly { address: string }[] } }>>('nodes');
  nodeAddress = items[0].status.addresses[0].address;
  const labels = { 'meshwright.dev/inject': 'enabled' };
  await put(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: inside, labels } },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: outside } },
  );
  await put(...['web', 'client', 'mixed', 'shy', 'front', 'neighbour'].map(account));
  await put(
    service('web', { clusterIP: 'None', selector: { app: 'web' }, ports: podPorts }),
    service('web-virtual', { type: 'NodePort', selector: { app: 'web' }, ports: servicePorts }),
    service('mixed', { selector: { app: 'mixed' }, ports: servicePorts }),
    service('shy', { clusterIP: 'None', selector: { app: 'shy' }, ports: podPorts }),
    service('by-hand', { ports: [{ port: 80, appProtocol: 'http' }] }),
    service('alias', { type: 'ExternalName', externalName: host('web-virtual') }),
    service('far', { type: 'ExternalName', externalName: host('plain', outside) }),
    service('nobody', { selector: { app: 'nobody' }, ports: [{ port: 80, appProtocol: 'http' }] }),
    service('plain', { selector: { app: 'plain' }, ports: servicePorts }, outside),
    route('web', {
      parentRefs: [{ group: '', kind: 'Service', name: 'web-virtual', port: 80 }],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: '/gone' } }],
          backendRefs: [{ name: 'not-there', port: 80 }],
        },
        { matches: [{ path: { type: 'PathPrefix', value: '/empty' } }], backendRefs: [{ name: 'nobody', port: 80 }] },
        { matches: [{ path: { type: 'PathPrefix', value: '/alias' } }], backendRefs: [{ name: 'far', port: 80 }] },
        {
          filters: [
            { type: 'ResponseHeaderModifier', responseHeaderModifier: { set: [{ name: 'x-routed', value: 'yes' }] } },
          ],
          backendRefs: [{ name: 'web-virtual', port: 80 }],
        },
      ],
    }),
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'web', namespace: inside },
      spec: {
        serviceName: 'web',
        replicas: 2,
        podManagementPolicy: 'Parallel',
        selector: { matchLabels: { app: 'web' } },
        template: template('web'),
      },
    },
  );
  const noProxy = { 'meshwright.dev/inject': 'disabled' };
  const never = { exec: { command: ['false'] }, periodSeconds: 5 };
  await put(
    pod('client', template('client')),
    pod('mixed-in', template('mixed')),
    pod('mixed-out', template('mixed', {}, noProxy)),
    pod('shy', template('shy', { containers: [container(image, { readinessProbe: never })] })),
    pod(
      'neighbour',
      template('neighbour', {
        hostNetwork: true,
        dnsPolicy: 'ClusterFirstWithHostNet',
        containers: [container(image, { env: [{ name: 'SHIFT', value: String(onHost) }] })],
      }),
    ),
    pod('plain', template('plain', { serviceAccountName: 'default' }), outside),
  );
  web = [await Speaker.of(inside, 'web-0'), await Speaker.of(inside, 'web-1')];
  client = await Speaker.of(inside, 'client');
  stranger = await Speaker.of(outside, 'plain');
  unmeshed = await Speaker.of(inside, 'mixed-out');
  neighbour = await Speaker.of(inside, 'neighbour', { shift: onHost });
  shy = await Speaker.of(inside, 'shy', { isReady: false });
  await put(slice('by-hand', [web[0].address, stranger.address]));
  // What follows assumes that all of this is known everywhere.
  await eventually('the proxies know the services', async () => (await client.seen(host('mixed'), 80)) && true);
}, 300_000);

afterAll(async () => {
  await kubectl(['delete', 'namespace', inside, outside, '--timeout=150s']);
}, 180_000);

/** Asks until every one of `pods` has answered; by pod, the caller that it saw. */
async function callersSeen(from: Speaker, name: string, pods: number): Promise<Readonly<Record<string, unknown>>> {
  const seen: Record<string, unknown> = {};
  await eventually(`${pods} pods of ${name} answer`, async () => {
    // One at a time, all would go to the faster one.
    const answers = await Promise.all(Array.from({ length: 8 }, () => from.seen(host(name), 80)));
    for (const { pod, caller } of answers) seen[pod] = caller;
    return Object.keys(seen).length === pods;
  });
  return seen;
}

describe('a Service', () => {
  it('with a cluster IP is routed and balanced, over mutual TLS', async () => {
    const me = callerOf('client');
    expect(await callersSeen(client, 'web-virtual', 2)).toEqual({ 'web-0': me, 'web-1': me });
    expect((await client.http(host('web-virtual'), 80)).headers['x-routed']).toBe('yes');
  });

  it('that is headless gives names to the pods of a StatefulSet, each reached as itself and with its identity', async () => {
    for (const index of [0, 1]) {
      const name = `web-${index}.${host('web')}`;
      const reply = await client.http(name, ports.http);
      expect(JSON.parse(reply.body)).toMatchObject({ pod: `web-${index}`, caller: callerOf('client') });
      expect(reply.headers['x-routed']).toBeUndefined();
      expect((await client.tcp(name, ports.greeting, 'pssst')).heard).toBe('READY\npssst');
    }
    expect(await web[0].seen(`web-1.${host('web')}`, ports.http)).toMatchObject({
      pod: 'web-1',
      caller: callerOf('web'),
    });
  });

  it('that is headless lets its pods be called before they are ready', async () => {
    expect(await client.seen(shy.address, ports.http)).toMatchObject({ pod: 'shy', caller: callerOf('client') });
    expect((await stranger.http(shy.address, ports.http)).status).toBe(0);
  });

  it('lets its pods be called at ports that it does not have, in strict mode as well', async () => {
    const { heard, ended } = await client.tcp(`web-0.${host('web')}`, ports.echo, 'undeclared');
    expect([heard, ended]).toEqual(['undeclared', 'satisfied']);
    expect((await stranger.tcp(web[0].address, ports.echo, 'undeclared')).heard).toBe('');
  });

  it('leads to a port that its pods have left out of the redirection, in plain text and for everybody', async () => {
    for (const from of [client, stranger]) {
      const seen = await from.seen(host('web-virtual'), ports.metrics);
      expect(seen.caller).toBeUndefined();
      expect((await from.seen(web[0].address, ports.metrics)).pod).toBe('web-0');
    }
  });

  it('of type ExternalName is what DNS makes of it: a Service of the mesh, or plain text outside of it', async () => {
    expect((await client.seen(host('alias'), 80)).caller).toBe(callerOf('client'));
    expect(await client.seen(host('far'), 80)).toMatchObject({ pod: 'plain' });
    expect((await client.seen(host('far'), 80)).caller).toBeUndefined();
  });

  it('without selector leads where its EndpointSlices say, with mutual TLS where that is a pod of the mesh', async () => {
    expect(await callersSeen(client, 'by-hand', 2)).toEqual({ 'web-0': callerOf('client'), plain: undefined });
  });

  it('with pods in the mesh and out of it has each spoken to as it can', async () => {
    const seen = await callersSeen(client, 'mixed', 2);
    expect(seen).toEqual({ 'mixed-in': callerOf('client'), 'mixed-out': undefined });
    const { heard } = await client.tcp(host('mixed'), ports.greeting);
    expect(heard).toBe('READY\n');
  });

  it('lets a server speak first, at once', async () => {
    const { heard, milliseconds } = await client.tcp(host('web-virtual'), ports.greeting, 'pssst');
    expect(heard).toBe('READY\npssst');
    expect(milliseconds).toBeLessThan(2_000);
  });

  it('outside of the mesh is called in plain text', async () => {
    expect((await client.seen(host('plain', outside), 80)).caller).toBeUndefined();
    expect((await client.tcp(host('plain', outside), ports.greeting)).heard).toBe('READY\n');
  });
});

describe('who has no proxy', () => {
  it('is refused in strict mode, by address, by name and by a port of the node', async () => {
    for (const from of [stranger, unmeshed, neighbour]) {
      expect((await from.http(host('web-virtual'), 80)).status).toBe(0);
      expect((await from.tcp(host('web-virtual'), ports.greeting, 'pssst')).heard).toBe('');
      expect((await from.http(web[0].address, ports.http)).status).toBe(0);
    }
    expect((await visit(await nodePortOf('web-virtual'))).status).toBe(0);
  });

  it('is called by the mesh, in the network of its node, too; why it has no proxy is told by an event', async () => {
    expect((await client.seen(neighbour.address, ports.http + onHost)).caller).toBeUndefined();
    const { spec } = await get<{ spec: { initContainers?: unknown } }>(...inMesh, 'pod', 'neighbour');
    expect(spec.initContainers).toBeUndefined();
    const event = await eventually('an event says why', async () => {
      const { items } = await get<List<{ reason: string; note?: string; regarding?: { name: string } }>>(
        ...inMesh,
        'events.events.k8s.io',
      );
      return items.find(({ reason, regarding }) => reason === 'InjectionSkipped' && regarding?.name === 'neighbour');
    });
    expect(event.note).toContain('hostNetwork');
  });
});

describe('plain text is taken', () => {
  /** What of a pod of web takes plain text from outside. */
  async function open(): Promise<string> {
    const [http, greeting, echo] = await Promise.all([
      stranger.http(web[0].address, ports.http),
      stranger.tcp(web[0].address, ports.greeting, 'pssst'),
      stranger.tcp(web[0].address, ports.echo, 'pssst'),
    ]);
    const found = [
      http.status === 200 && 'http',
      greeting.heard.startsWith('READY\n') && 'greeting',
      echo.heard && 'echo',
    ];
    return found.filter(Boolean).join(' ');
  }
  const becomes = (expected: string) =>
    eventually(
      `open are: ${expected || 'none'}`,
      async () => {
        const found = await open();
        if (found !== expected) throw new Error(found || 'none');
        return true;
      },
      20_000,
    );

  it('at a port, a Service, a namespace or a mesh that says so, and the most specific one wins', async () => {
    await becomes('');
    await put(own('MtlsPolicy', 'port', { mode: 'Permissive', targetRefs: toService('web-virtual', 'http') }));
    await becomes('http');
    expect((await visit(await nodePortOf('web-virtual'))).status).toBe(200);
    expect((await neighbour.http(host('web-virtual'), 80)).status).toBe(200);
    // Who has an identity has it all the same.
    expect((await client.seen(host('web-virtual'), 80)).caller).toBe(callerOf('client'));

    await put(own('MtlsPolicy', 'service', { mode: 'Permissive', targetRefs: toService('web-virtual') }));
    await becomes('http greeting');
    await put(own('MtlsPolicy', 'port', { mode: 'Strict', targetRefs: toService('web-virtual', 'http') }));
    await becomes('greeting');
    await remove('mtlspolicy', 'port');
    await remove('mtlspolicy', 'service');
    await becomes('');

    await put(
      own('MtlsPolicy', 'namespace', {
        mode: 'Permissive',
        targetRefs: [{ group: '', kind: 'Namespace', name: inside }],
      }),
    );
    await becomes('http greeting echo');
    await put(own('Mesh', 'default', { mtls: 'Permissive' }));
    await put(
      own('MtlsPolicy', 'namespace', { mode: 'Strict', targetRefs: [{ group: '', kind: 'Namespace', name: inside }] }),
    );
    await becomes('');
    await remove('mtlspolicy', 'namespace');
    await becomes('http greeting echo');
    expect((await client.tcp(host('web-virtual'), ports.greeting, 'pssst')).heard).toBe('READY\npssst');
    await remove('mesh', 'default');
    await becomes('');
  }, 180_000);
});

describe('a gateway', () => {
  beforeAll(async () => {
    const gateway = 'gateway.networking.k8s.io/gateway-name';
    const labels = { 'meshwright.dev/inject': 'enabled', 'meshwright.dev/workload': 'front', [gateway]: 'front' };
    await put(
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'GatewayClass',
        metadata: { name: 'meshwright' },
        spec: { controllerName: 'meshwright.dev/gateway-controller' },
      },
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'Gateway',
        metadata: { name: 'front', namespace: inside },
        spec: { gatewayClassName: 'meshwright', listeners: [{ name: 'http', port: 8080, protocol: 'HTTP' }] },
      },
      service('front', {
        type: 'NodePort',
        selector: { [gateway]: 'front' },
        ports: [{ port: 80, targetPort: 8080, appProtocol: 'http' }],
      }),
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'front', namespace: inside, labels },
        spec: {
          serviceAccountName: 'front',
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: 'meshwright-proxy',
              image: defaultImage,
              imagePullPolicy: 'IfNotPresent',
              args: ['sidecar'],
              ports: [{ containerPort: 8080 }],
            },
          ],
        },
      },
      route('front', {
        parentRefs: [{ name: 'front' }],
        rules: [
          {
            matches: [{ path: { type: 'PathPrefix', value: '/outside' } }],
            backendRefs: [{ name: 'plain', namespace: outside, port: 80 }],
          },
          { backendRefs: [{ name: 'web-virtual', port: 80 }] },
        ],
      }),
    );
    await kubectl([...inMesh, 'wait', '--for=condition=Ready', '--timeout=90s', 'pod/front']);
  }, 120_000);

  it('is reached by a port of the node, and calls in with its own identity', async () => {
    const port = await nodePortOf('front');
    await eventually('the gateway routes', async () => (await visit(port)).status === 200);
    expect(JSON.parse((await visit(port)).body)).toMatchObject({ caller: callerOf('front') });
  });

  it('is called from within the mesh as from outside', async () => {
    expect((await client.seen(host('front'), 80)).caller).toBe(callerOf('front'));
    expect((await stranger.seen(host('front'), 80)).caller).toBe(callerOf('front'));
  });

  it('leads into another namespace only where a ReferenceGrant lets it', async () => {
    const port = await nodePortOf('front');
    expect((await visit(port, '/outside')).status).toBe(500);
    const refs = async () => {
      const { status } = await get<Judged>(...inMesh, 'httproute', 'front');
      return status?.parents?.[0]?.conditions.find(({ type }) => type === 'ResolvedRefs');
    };
    expect(await refs()).toMatchObject({ status: 'False', reason: 'RefNotPermitted' });
    const grant = {
      apiVersion: 'gateway.networking.k8s.io/v1beta1',
      kind: 'ReferenceGrant',
      metadata: { name: 'from-mesh', namespace: outside },
      spec: {
        from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: inside }],
        to: [{ group: '', kind: 'Service', name: 'plain' }],
      },
    };
    await put(grant);
    await eventually('the route may', async () => (await visit(port, '/outside')).status === 200);
    await eventually('the status says so', async () => (await refs())?.status === 'True');
    await kubectl(['-n', outside, 'delete', 'referencegrant', 'from-mesh']);
    await eventually('the route may not any more', async () => (await visit(port, '/outside')).status === 500);
  });
});

describe('work that ends', () => {
  const call = `fetch('http://${host('web-virtual')}/').then((r) => r.json()).then(({ caller }) => {
    if (caller !== '${callerOf('client')}') throw new Error(String(caller));
  })`;
  const job = {
    backoffLimit: 0,
    template: {
      metadata: { labels: { app: 'report' } },
      spec: {
        restartPolicy: 'Never',
        serviceAccountName: 'client',
        containers: [{ name: 'app', image, command: ['node', '-e', call] }],
      },
    },
  };

  it('as a Job, or by a CronJob, calls with its identity, and its pod is done when it is', async () => {
    await put(
      {
        apiVersion: 'batch/v1',
        kind: 'CronJob',
        metadata: { name: 'report', namespace: inside },
        spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: job } },
      },
      { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'report-now', namespace: inside }, spec: job },
    );
    await kubectl([...inMesh, 'create', 'job', 'report-by-hand', '--from=cronjob/report']);
    const wait = ['wait', '--for=condition=Complete', '--timeout=90s', 'job/report-now', 'job/report-by-hand'];
    await kubectl([...inMesh, ...wait]);
    const { items } = await get<
      List<{
        status: { phase: string };
        spec: { initContainers?: { name: string }[] };
        metadata: { labels: Record<string, string> };
      }>
    >(...inMesh, 'pods', '-l', 'app=report');
    expect(items.map(({ status }) => status.phase)).toEqual(['Succeeded', 'Succeeded']);
    for (const { spec, metadata } of items) {
      expect(spec.initContainers?.map(({ name }) => name)).toContain('meshwright-proxy');
      expect(metadata.labels['meshwright.dev/workload']).toMatch(/^report/);
    }
  });
});

describe('a route that leads nowhere', () => {
  it('answers 500 where there is no such Service, also of type ExternalName; 503 where it has no pods', async () => {
    const status = async (path: string) => (await client.http(host('web-virtual'), 80, path)).status;
    expect(await status('/gone')).toBe(500);
    expect(await status('/alias')).toBe(500);
    expect(await status('/empty')).toBe(503);
    expect(await status('/')).toBe(200);
    const { metadata, status: said } = await get<Judged>(...inMesh, 'httproute', 'web');
    const conditions = said?.parents?.[0]?.conditions ?? [];
    const observedGeneration = metadata.generation;
    expect(conditions).toContainEqual(
      expect.objectContaining({ type: 'Accepted', status: 'True', observedGeneration }),
    );
    expect(conditions).toContainEqual(
      expect.objectContaining({ type: 'ResolvedRefs', status: 'False', reason: 'BackendNotFound', observedGeneration }),
    );
  });

  it('stays as it was where the API server refuses what is to come after it', async () => {
    const parentRefs = [{ group: '', kind: 'Service', name: 'web-virtual', port: 80 }];
    const wrong: Readonly<Record<string, object>> = {
      HTTPRoute: { parentRefs, rules: [{ filters: [{ type: 'RequestRedirect' }] }] },
      GRPCRoute: { parentRefs, rules: [{ matches: [{ method: { type: 'Exact' } }] }] },
      TCPRoute: { parentRefs, rules: [] },
      TLSRoute: { parentRefs, hostnames: ['10.0.0.1'], rules: [{ backendRefs: [{ name: 'mixed', port: 80 }] }] },
    };
    for (const [kind, spec] of Object.entries(wrong)) {
      await expect(put(route('web', spec, kind))).rejects.toThrow(/is invalid/);
    }
    expect((await client.http(host('web-virtual'), 80)).headers['x-routed']).toBe('yes');
  });

  it('or holds a rule that cannot be carried out answers 500 to what that rule matches, and says so', async () => {
    const parentRefs = [{ group: '', kind: 'Service', name: 'mixed', port: 80 }];
    const backendRefs = [{ name: 'mixed', port: 80 }];
    const strange = { path: { type: 'PathPrefix', value: '/strange' } };
    const rules = [
      {
        matches: [strange],
        filters: [{ type: 'ExtensionRef', extensionRef: { group: 'x.example', kind: 'X', name: 'x' } }],
      },
      { backendRefs },
    ];
    await put(route('partly', { parentRefs, rules }));
    await eventually('the rule answers', async () => (await client.http(host('mixed'), 80, '/strange')).status === 500);
    expect((await client.http(host('mixed'), 80)).status).toBe(200);
    const { status } = await get<Judged>(...inMesh, 'httproute', 'partly');
    expect(status?.parents?.[0]?.conditions.map(({ type, status }) => `${type} ${status}`)).toEqual(
      expect.arrayContaining(['Accepted True', 'PartiallyInvalid True']),
    );
    await remove('httproute', 'partly');
  });

  it('closes connections where it is a TCPRoute', async () => {
    const spec = {
      parentRefs: [{ group: '', kind: 'Service', name: 'mixed', port: ports.greeting }],
      rules: [{ backendRefs: [{ name: 'not-there', port: 80 }] }],
    };
    await put(route('lost', spec, 'TCPRoute'));
    await eventually('connections are closed', async () => {
      const { heard, ended } = await client.tcp(host('mixed'), ports.greeting);
      return heard === '' && ['closed', 'ECONNRESET'].includes(ended);
    });
    await remove('tcproute', 'lost');
    await eventually(
      'they are taken',
      async () => (await client.tcp(host('mixed'), ports.greeting)).heard === 'READY\n',
    );
  });
});

describe('objects of our own kinds', () => {
  const targetRefs = toService('mixed');
  const specs: Readonly<Record<string, object>> = {
    Mesh: { mtls: 'Strict' },
    MtlsPolicy: { mode: 'Strict', targetRefs },
    AccessPolicy: { targetRefs, rules: [{ action: 'Allow', from: [{ authenticated: true }] }] },
    LoadBalancingPolicy: { targetRefs, algorithm: 'RoundRobin' },
    RateLimitPolicy: { targetRefs, limits: [{ requests: 1000, interval: '1s' }] },
    FaultPolicy: {
      targetRefs: toService('mixed', 'http'),
      faults: [{ headers: [{ name: 'x-fault', value: 'yes' }], abort: { httpStatus: 418 } }],
    },
  };
  const conditionsOf = async (kind: string, name: string) => {
    const { status, metadata } = await get<Judged>(...inMesh, kind, name);
    const said = status?.conditions ?? [];
    return said.every(({ observedGeneration }) => observedGeneration === metadata.generation)
      ? said.map(({ type, status, reason }) => `${type} ${status} ${reason}`)
      : [];
  };
  const says = (kind: string, name: string, ...expected: readonly string[]) =>
    eventually(`the status of ${kind} ${name}`, async () => {
      const found = await conditionsOf(kind, name);
      if (expected.some((each) => !found.includes(each))) throw new Error(found.join(', '));
      return true;
    });
  const fault = (to: Readonly<Record<string, string>> = { 'x-fault': 'yes' }) =>
    client.http(host('mixed'), 80, '/', to).then(({ status }) => status);

  it('say how they stand, each with the generation that was read', async () => {
    await put(...Object.entries(specs).map(([kind, spec]) => own(kind, 'semantics', spec)));
    for (const kind of Object.keys(specs)) {
      const expected = ['Accepted True Accepted', 'ResolvedRefs True ResolvedRefs', 'Programmed True Programmed'];
      await says(kind, 'semantics', ...expected);
    }
    const attached = Object.entries(specs).filter(([kind]) => kind !== 'Mesh');
    const astray = attached.map(([kind, spec]) => own(kind, 'astray', { ...spec, targetRefs: toService('not-there') }));
    await put(...astray);
    for (const [kind] of attached) {
      const expected = [
        'Accepted False TargetNotFound',
        'ResolvedRefs False TargetNotFound',
        'Programmed False Invalid',
      ];
      await says(kind, 'astray', ...expected);
    }
    await eventually('the fault is there', async () => (await fault()) === 418);
  });

  it('that the API server refuses leave what was there in force', async () => {
    const wrong: Readonly<Record<string, object>> = {
      Mesh: { mtls: 'Sometimes' },
      MtlsPolicy: { mode: 'Never', targetRefs },
      AccessPolicy: { targetRefs, rules: [{ action: 'Allow', from: [{}] }] },
      LoadBalancingPolicy: { targetRefs, algorithm: 'Maglev' },
      RateLimitPolicy: { targetRefs, limits: [{ requests: 0, interval: '1s' }] },
      FaultPolicy: { targetRefs, faults: [{}] },
    };
    for (const [kind, spec] of Object.entries(wrong)) {
      await expect(put(own(kind, 'semantics', spec))).rejects.toThrow(/is invalid/);
      await says(kind, 'semantics', 'Accepted True Accepted', 'Programmed True Programmed');
    }
    expect([await fault(), await fault({})]).toEqual([418, 200]);
  });

  it('that only the mesh finds wrong say so, and cost no other request', async () => {
    const grpc = [{ percent: 100, abort: { grpcStatus: 'UNAVAILABLE' } }];
    await put(own('FaultPolicy', 'misfit', { targetRefs: toService('mixed', 'http'), faults: grpc }));
    await says('FaultPolicy', 'misfit', 'Accepted False Invalid', 'Programmed False Invalid');
    expect([await fault(), await fault({})]).toEqual([418, 200]);
    await put(own('LoadBalancingPolicy', 'second', { targetRefs, algorithm: 'Random' }));
    await says('LoadBalancingPolicy', 'second', 'Accepted False Conflicted', 'Programmed False Invalid');
  });
});
