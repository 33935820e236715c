import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { defaultSettings, injectPod, type RawPod } from '../../runtime/injection/index.ts';
import { parseBootstrap } from '../../runtime/proxy/bootstrap.ts';

interface Container {
  readonly name: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly [field: string]: unknown;
}

interface Pod extends RawPod {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>>; readonly [field: string]: unknown };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly volumes?: readonly { readonly name: string }[];
    readonly [field: string]: unknown;
  };
}

const request = { settings: defaultSettings, namespace: 'shop', explicit: true };

function inject(pod: RawPod): Pod {
  const injection = injectPod(pod, request);
  if (injection.kind !== 'injected') throw new Error(injection.reason);
  return injection.pod as Pod;
}

/** What the kubelet makes of a value: `$(NAME)` becomes what NAME is, `$$` a dollar. */
function expand(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([^)]*)\)/g, (whole, name) => (whole === '$$' ? '$' : (variables[name] ?? whole)));
}

/** The document as the proxy of a pod reads it. */
function bootstrapOf(pod: Pod) {
  const proxy = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].find(
    ({ name }) => name === 'meshwright-proxy',
  );
  const text = proxy?.env?.find(({ name }) => name === 'MESHWRIGHT_BOOTSTRAP')?.value ?? '';
  const variables = { POD_NAME: 'reviews-0', POD_NAMESPACE: 'shop', POD_IP: '10.1.2.3' };
  return parseBootstrap(JSON.parse(expand(text, variables)), 'the environment');
}

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const portNumber = fc.integer({ min: 1, max: 15_000 });
const path = fc.oneof(fc.webPath(), fc.constantFrom('/$(POD_IP)', '/$$x', '/"quoted"\\', '/$(POD_NAME)$(OTHER)'));
const http = fc.record(
  {
    path,
    port: fc.oneof(portNumber, fc.constantFrom('http', 'nowhere')),
    scheme: fc.constantFrom('HTTP', 'HTTPS'),
    host: fc.constant('example.com'),
    httpHeaders: fc.array(fc.record({ name: word, value: fc.string() }), { maxLength: 2 }),
  },
  { requiredKeys: ['port'] },
);
const action = fc.oneof(
  fc.record({ httpGet: http }),
  fc.record({ tcpSocket: fc.record({ port: portNumber }) }),
  fc.record({ grpc: fc.record({ port: portNumber, service: fc.string() }, { requiredKeys: ['port'] }) }),
  fc.record({ exec: fc.record({ command: fc.array(fc.string()) }) }),
);
const probe = fc
  .tuple(
    action,
    fc.record({ periodSeconds: fc.nat(99), timeoutSeconds: fc.integer({ min: 1, max: 99 }) }, { requiredKeys: [] }),
  )
  .map(([what, when]) => ({ ...what, ...when }));
const container = fc.record(
  {
    name: word,
    image: fc.string(),
    env: fc.array(fc.record({ name: word, value: fc.string() }), { maxLength: 3 }),
    ports: fc.constantFrom([{ name: 'http', containerPort: 8080 }], [{ containerPort: 9000 }], null),
    livenessProbe: probe,
    readinessProbe: probe,
    startupProbe: probe,
    lifecycle: fc.record({ postStart: action, preStop: action }, { requiredKeys: [] }),
    ofTheFuture: fc.jsonValue(),
  },
  { requiredKeys: ['name'] },
);
const containers = (minLength: number) =>
  fc.uniqueArray(container, { minLength, maxLength: 3, selector: ({ name }) => name });
const pod = fc.record(
  {
    apiVersion: fc.constant('v1'),
    metadata: fc.record(
      {
        name: word,
        labels: fc.oneof(fc.dictionary(word, word), fc.constant(null)),
        annotations: fc.dictionary(word, fc.string()),
        ofTheFuture: fc.jsonValue(),
      },
      { requiredKeys: ['name'] },
    ),
    spec: fc.record(
      {
        containers: containers(1),
        initContainers: fc.oneof(containers(0), fc.constant(null)),
        volumes: fc.uniqueArray(fc.record({ name: word, emptyDir: fc.jsonValue() }), { selector: ({ name }) => name }),
        serviceAccountName: word,
        securityContext: fc.record({ fsGroup: fc.nat(5000) }),
        ofTheFuture: fc.jsonValue(),
      },
      { requiredKeys: ['containers'] },
    ),
    ofTheFuture: fc.jsonValue(),
  },
  { requiredKeys: ['metadata', 'spec'] },
);

const ours = (name: string) => name.startsWith('meshwright-');
const kinds = { livenessProbe: 'liveness', readinessProbe: 'readiness', startupProbe: 'startup' };

/** A pod without what injection adds, and without all probes. */
function rest(given: Pod) {
  const { labels = {}, ...metadata } = given.metadata;
  const { containers, initContainers, volumes, ...spec } = given.spec;
  const strip = (list: readonly Container[] | undefined) =>
    (list ?? [])
      .filter(({ name }) => !ours(name))
      .map(({ livenessProbe: _1, readinessProbe: _2, startupProbe: _3, lifecycle: _4, ...others }) => others);
  return {
    ...given,
    metadata: {
      ...metadata,
      labels: Object.fromEntries(Object.entries(labels ?? {}).filter(([key]) => !key.includes('.dev/'))),
    },
    spec: {
      ...spec,
      containers: strip(containers),
      initContainers: strip(initContainers),
      volumes: (volumes ?? []).filter(({ name }) => !ours(name)),
    },
  };
}

describe('a pod that is injected', () => {
  it('comes out the same when it is injected again, also after the API server has filled in defaults', () => {
    fc.assert(
      fc.property(pod, (given) => {
        const once = inject(given);
        expect(inject(once)).toStrictEqual(once);
        const stored = JSON.parse(JSON.stringify(once));
        for (const each of stored.spec.initContainers) each.terminationMessagePath = '/dev/termination-log';
        const again = inject(stored);
        expect(bootstrapOf(again)).toStrictEqual(bootstrapOf(once));
      }),
    );
  });

  it('keeps everything that is not for the proxy, and is not changed in place', () => {
    fc.assert(
      fc.property(pod, (given) => {
        const before = JSON.stringify(given);
        const injected = inject(given);
        expect(JSON.stringify(given)).toBe(before);
        expect(rest(injected)).toStrictEqual(rest(given as Pod));
      }),
    );
  });

  it('gives the proxy a document that it understands, with every probe that it answers for', () => {
    fc.assert(
      fc.property(pod, (given) => {
        const injected = inject(given);
        const bootstrap = bootstrapOf(injected);
        expect(bootstrap).toMatchObject({ id: 'reviews-0.shop', transparent: { podIp: '10.1.2.3' } });
        const paths: string[] = [];
        const all = [...injected.spec.containers, ...(injected.spec.initContainers ?? [])];
        for (const { name, lifecycle, ...fields } of all.filter(({ name }) => !ours(name))) {
          const { postStart, preStop } = (lifecycle ?? {}) as Record<string, unknown>;
          for (const one of [fields.livenessProbe, fields.readinessProbe, fields.startupProbe, postStart, preStop]) {
            const { httpGet } = (one ?? {}) as { httpGet?: { path: string; port: unknown } };
            if (httpGet?.port === 15020) paths.push(httpGet.path.slice('/probe/'.length));
          }
          for (const [field, kind] of Object.entries(kinds)) {
            const original = [...(given.spec.initContainers ?? []), ...given.spec.containers].find(
              (one) => one.name === name,
            )?.[field as 'livenessProbe'];
            if (!original || !('httpGet' in original) || typeof original.httpGet.port === 'string') continue;
            if (original.httpGet.host) continue;
            // Dollars and quotes arrive as they were.
            expect(bootstrap.probes?.[`${name}/${kind}`]).toMatchObject({
              kind: 'http',
              port: original.httpGet.port,
              ...(original.httpGet.path && { path: original.httpGet.path }),
            });
          }
        }
        expect(Object.keys(bootstrap.probes ?? {}).sort()).toEqual([...new Set(paths)].sort());
      }),
    );
  });

  it('has its probes changed when they change after the first time', () => {
    const withProbe = (probe: unknown) => ({ name: 'app', readinessProbe: probe });
    const once = inject({ metadata: { name: 'p' }, spec: { containers: [withProbe({ httpGet: { port: 80 } })] } });
    const edited = { ...once, spec: { ...once.spec, containers: [withProbe({ tcpSocket: { port: 81 } })] } };
    expect(bootstrapOf(inject(edited)).probes).toEqual({ 'app/readiness': { kind: 'tcp', port: 81, timeoutMs: 1000 } });
  });

  it('keeps its containers where another injector has put its own before them', () => {
    const once = inject({ metadata: { name: 'p' }, spec: { containers: [{ name: 'app' }], initContainers: [] } });
    const other = { name: 'vault' };
    const both = { ...once, spec: { ...once.spec, initContainers: [other, ...(once.spec.initContainers ?? [])] } };
    const names = inject(both).spec.initContainers?.map(({ name }) => name);
    expect(names).toEqual(['vault', 'meshwright-redirect', 'meshwright-proxy']);
  });

  it('has no label for the name of its workload where that is too long for one', () => {
    const name = 'a'.repeat(64);
    const injected = inject({ metadata: { name }, spec: { containers: [{ name: 'app' }] } });
    expect(injected.metadata.labels).toEqual({ 'meshwright.dev/proxy': 'sidecar' });
    expect(bootstrapOf(injected).workload).toBe(`shop/${name}`);
  });
});

describe('the heap of a proxy', () => {
  const heapOf = (limit: string, concurrency = '1') => {
    const annotations = {
      'meshwright.dev/proxy-memory-limit': limit,
      'meshwright.dev/proxy-concurrency': concurrency,
    };
    const { spec } = inject({ metadata: { name: 'p', annotations }, spec: { containers: [{ name: 'app' }] } });
    const variables = spec.initContainers?.find(({ name }) => name === 'meshwright-proxy')?.env;
    return variables?.find(({ name }) => name === 'NODE_OPTIONS')?.value;
  };

  it.each([
    ['64Mi', 32, 2],
    ['128Mi', 64, 4],
    ['134217728', 64, 4],
    ['0.5Gi', 256, 16],
    ['268435456000m', 128, 8],
    ['1e9', 476, 16],
    ['1G', 476, 16],
    ['+1Gi', 512, 16],
  ])('leaves half of %s to what is not in it', (limit, old, young) => {
    expect(heapOf(limit)).toBe(`--max-old-space-size=${old} --max-semi-space-size=${young} --v8-pool-size=2`);
  });

  it('is shared by the processes of a proxy that has several', () => {
    expect(heapOf('512Mi', '4')).toBe('--max-old-space-size=64 --max-semi-space-size=4 --v8-pool-size=2');
    expect(() => heapOf('128Mi', '4')).toThrow('4 processes need 64Mi each, but the limit is 128Mi');
  });

  it.each(['', '0', '-1Gi', '1gb', '1 Gi', '1Gi1', '0x40000000', 'NaN', '.', '1e999'])(
    'is not bound by %j',
    (limit) => {
      expect(() => heapOf(limit)).toThrow('it must be a quantity above zero');
    },
  );
});

describe('the document of a gateway', () => {
  it('names its ports and redirects nothing', () => {
    const bootstrap = bootstrapOf(
      inject({
        metadata: { name: 'p', labels: { 'gateway.networking.k8s.io/gateway-name': 'shop' } },
        spec: { containers: [{ name: 'meshwright-proxy', ports: [{ containerPort: 80 }] }] },
      }),
    );
    expect(bootstrap.gateway).toEqual([{ listen: '0.0.0.0:80', port: 80 }]);
    expect(bootstrap.transparent).toBeUndefined();
  });
});
