import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type KubernetesObject, parseObject } from '../../runtime/resources/index.ts';
import { createTranslator, translate } from '../../runtime/translate/index.ts';

const names = ['a', 'b', 'c'] as const;
const namespaces = ['x', 'y'] as const;

type Cluster = ReadonlyMap<string, Document>;
type Document = Record<string, unknown>;
/** What happens to a cluster. */
type Edit = (cluster: Map<string, Document>) => void;

/** Mostly the first, so that pods often differ in one thing only. */
const mostly = <T>(usual: T, ...others: T[]) =>
  fc.oneof({ arbitrary: fc.constant(usual), weight: 8 }, { arbitrary: fc.constantFrom(...others), weight: 1 });

const place = fc.record({ namespace: fc.constantFrom(...namespaces), name: fc.constantFrom(...names) });
const ready = fc.record({ ready: mostly(true, false), serving: mostly(true, false), terminating: mostly(false, true) });

/** Two pods for each name: `a-0` and `a-1`. */
const pod = fc
  .record({
    place,
    index: fc.constantFrom(0, 1),
    age: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
    leaving: mostly(false, true),
    app: mostly(undefined, ...names),
    account: mostly('one', 'two'),
    version: mostly('1', '2'),
    proxy: mostly(true, false),
    calls: mostly(undefined, 'a, b', 'gone'),
    port: mostly(80, 81),
    phase: mostly('Running', 'Succeeded'),
    condition: fc.constantFrom('True', 'False'),
    address: fc.constantFrom(undefined, '10.0.0.1', '10.0.0.2'),
  })
  .map(({ place, index, ...of }) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${place.name}-${index}`,
      namespace: place.namespace,
      creationTimestamp: of.age,
      deletionTimestamp: of.leaving ? of.age : null,
      labels: {
        app: of.app ?? place.name,
        version: of.version,
        ...(of.proxy ? { 'meshwright.dev/proxy': 'sidecar' } : {}),
      },
      ...(of.calls === undefined ? {} : { annotations: { 'meshwright.dev/calls': of.calls } }),
      ownerReferences: [{ kind: 'StatefulSet', name: place.name }],
    },
    spec: {
      serviceAccountName: of.account,
      containers: [{ name: 'app', ports: [{ name: 'web', containerPort: of.port }] }],
    },
    status: {
      phase: of.phase,
      ...(of.address && { podIP: of.address }),
      conditions: [{ type: 'Ready', status: of.condition }],
    },
  }));

const slice = fc
  .record({
    place,
    index: fc.constantFrom(0, 1),
    endpoints: fc.array(
      fc.record({ last: fc.integer({ min: 1, max: 3 }), pod: fc.constantFrom(0, 1, undefined), ready }),
      {
        maxLength: 3,
      },
    ),
  })
  .map(({ place, index, endpoints }) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${place.name}-${index}`,
      namespace: place.namespace,
      labels: { 'kubernetes.io/service-name': place.name },
    },
    addressType: 'IPv4',
    ports: [{ name: '', port: 80 }],
    endpoints: endpoints.map((of) => ({
      addresses: [`10.0.0.${of.last}`],
      conditions: of.ready,
      ...(of.pod === undefined ? {} : { targetRef: { kind: 'Pod', name: `${place.name}-${of.pod}` } }),
    })),
  }));

const service = fc
  .record({
    place,
    protocol: fc.constantFrom('http', 'tcp'),
    selector: fc.boolean(),
    headless: fc.boolean(),
    port: fc.constantFrom('web', 80),
  })
  .map(({ place, protocol, selector, headless, port }) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: place,
    spec: {
      ...(selector ? { selector: { app: place.name } } : {}),
      ...(headless ? { clusterIP: 'None' } : {}),
      ports: [{ port: 80, targetPort: port, appProtocol: protocol }],
    },
  }));

const target = (name: string) => ({ group: '', kind: 'Service', name });
const route = fc.record({ place, to: fc.constantFrom(...names) }).map(({ place, to }) => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: place,
  spec: { parentRefs: [target(place.name)], rules: [{ backendRefs: [{ name: to, port: 80 }] }] },
}));
const policies = fc.oneof(
  fc.record({ place, from: fc.constantFrom(...namespaces), status: fc.boolean() }).map(({ place, from, status }) => ({
    apiVersion: 'meshwright.dev/v1alpha1',
    kind: 'AccessPolicy',
    metadata: place,
    spec: { targetRefs: [target(place.name)], rules: [{ action: 'Allow', from: [{ namespace: from }] }] },
    ...(status ? { status: { conditions: [] } } : {}),
  })),
  fc.record({ place, mode: fc.constantFrom('Strict', 'Permissive') }).map(({ place, mode }) => ({
    apiVersion: 'meshwright.dev/v1alpha1',
    kind: 'MtlsPolicy',
    metadata: place,
    spec: { targetRefs: [target(place.name)], mode },
  })),
  fc.record({ place, panicThreshold: fc.constantFrom(10, 20) }).map(({ place, panicThreshold }) => ({
    apiVersion: 'meshwright.dev/v1alpha1',
    kind: 'LoadBalancingPolicy',
    metadata: place,
    spec: { targetRefs: [target(place.name)], algorithm: 'PeakEWMA', panicThreshold },
  })),
);

const document = fc.oneof(
  { arbitrary: fc.oneof(pod, slice), weight: 6 },
  { arbitrary: fc.oneof(service, route, policies), weight: 1 },
);
/** An object comes, becomes another, or goes. */
const replacement: fc.Arbitrary<Edit> = fc
  .record({ document, gone: fc.nat(4) })
  .map(({ document, gone }) => (cluster) => {
    const { name, namespace } = document.metadata as { name: string; namespace: string };
    const key = `${document.kind} ${namespace}/${name}`;
    if (gone === 0) cluster.delete(key);
    else cluster.set(key, document);
  });

/** A pod, or the endpoints of a slice, differ in a part from what they were. */
const tweak: fc.Arbitrary<Edit> = fc
  .record({ pod, slice, which: fc.nat(), part: fc.nat(4) })
  .map(({ pod, slice, which, part }) => (cluster) => {
    const keys = [...cluster.keys()].filter((key) => /^(Pod|EndpointSlice) /.test(key));
    const key = keys[which % keys.length];
    const old = cluster.get(key);
    if (!old) return;
    const metadata = old.metadata as object;
    if (old.kind === 'EndpointSlice') cluster.set(key, { ...old, endpoints: slice.endpoints });
    else if (part === 0) cluster.set(key, { ...old, status: pod.status });
    else if (part === 1) cluster.set(key, { ...old, metadata: { ...metadata, labels: pod.metadata.labels } });
    else if (part === 2)
      cluster.set(key, { ...old, metadata: { ...metadata, deletionTimestamp: pod.metadata.creationTimestamp } });
    else cluster.set(key, { ...old, spec: pod.spec });
  });
const edits = (edit: fc.Arbitrary<Edit>, maxLength: number) => fc.array(edit, { minLength: 1, maxLength });
const edit = fc.oneof({ arbitrary: replacement, weight: 1 }, { arbitrary: tweak, weight: 3 });

function applied(cluster: Cluster, edits: readonly Edit[]): Cluster {
  const after = new Map(cluster);
  for (const edit of edits) edit(after);
  return after;
}

const parsed = new WeakMap<object, KubernetesObject>();

/** Parsed once each, as a cluster's provider does, or all anew, as for files. */
function objectsOf(cluster: Cluster, anew: boolean): KubernetesObject[] {
  return [...cluster.values()].map((document) => {
    const known = anew ? undefined : parsed.get(document);
    if (known) return known;
    const { object, findings } = parseObject(document, 'test');
    if (!object) throw new Error(JSON.stringify(findings));
    parsed.set(document, object);
    return object;
  });
}

describe('a translator', () => {
  it('gives after any changes what translating everything gives, and what is equal as the same object', () => {
    const rounds = fc.array(fc.record({ edits: edits(edit, 2), anew: fc.boolean() }), { maxLength: 20 });
    fc.assert(
      fc.property(edits(replacement, 60), rounds, (first, rounds) => {
        const translator = createTranslator();
        let cluster = applied(new Map(), first);
        let before = translator.update(objectsOf(cluster, false));
        for (const { edits, anew } of rounds) {
          cluster = applied(cluster, edits);
          const objects = objectsOf(cluster, anew);
          const after = translator.update(objects.toReversed());
          expect(after).toStrictEqual(translate(objects));
          for (const resource of after.resources) {
            const old = before.resources.find(({ kind, name }) => kind === resource.kind && name === resource.name);
            if (old && JSON.stringify(old) === JSON.stringify(resource)) expect(resource).toBe(old);
          }
          before = after;
        }
      }),
      { numRuns: 150 },
    );
  });

  const fixed = (kind: string, metadata: object, rest: object) =>
    parseObject(
      { apiVersion: kind === 'EndpointSlice' ? 'discovery.k8s.io/v1' : 'v1', kind, metadata, ...rest },
      'test',
    ).object!;
  const cart = fixed('Service', { name: 'cart' }, { spec: { selector: { app: 'cart' }, ports: [{ port: 80 }] } });
  const podAt = (name: string, status = 'True') =>
    fixed(
      'Pod',
      { name, labels: { app: 'cart' }, ownerReferences: [{ kind: 'StatefulSet', name: 'cart' }] },
      { spec: { containers: [] }, status: { conditions: [{ type: 'Ready', status }] } },
    );
  const sliceOf = (...pods: string[]) =>
    fixed(
      'EndpointSlice',
      { name: 'cart-1', labels: { 'kubernetes.io/service-name': 'cart' } },
      {
        addressType: 'IPv4',
        ports: [{ name: '', port: 80 }],
        endpoints: pods.map((name, index) => ({ addresses: [`10.0.0.${index}`], targetRef: { kind: 'Pod', name } })),
      },
    );

  it('gives the same translation where nothing that it reads is different', () => {
    const translator = createTranslator();
    const first = translator.update([cart, podAt('cart-0'), sliceOf('cart-0')]);
    expect(translator.update([cart, podAt('cart-0', 'False'), sliceOf('cart-0')])).toBe(first);
  });

  it('makes nothing but endpoints anew where a workload gets another pod', () => {
    const translator = createTranslator();
    const first = translator.update([cart, podAt('cart-0'), sliceOf('cart-0')]);
    const second = translator.update([cart, podAt('cart-0'), podAt('cart-1'), sliceOf('cart-0', 'cart-1')]);
    expect(second.statuses).toBe(first.statuses);
    expect(second.findings).toBe(first.findings);
    const different = second.resources.filter((resource, index) => resource !== first.resources[index]);
    expect(different).toMatchObject([
      { kind: 'endpoints', endpoints: [{ address: '10.0.0.0' }, { address: '10.0.0.1' }] },
    ]);
  });

  it('notices that another Service selects a workload', () => {
    const translator = createTranslator();
    const pod = podAt('cart-0') as Extract<KubernetesObject, { kind: 'Pod' }>;
    const moved = { ...pod, metadata: { ...pod.metadata, labels: { app: 'old' } } };
    const old = { ...cart, metadata: { name: 'old' }, spec: { selector: { app: 'old' }, ports: [] } } as typeof cart;
    translator.update([cart, old, pod, sliceOf('cart-0')]);
    const { resources } = translator.update([cart, old, moved, sliceOf('cart-0')]);
    expect(resources.find(({ kind }) => kind === 'workload')).toMatchObject({ service: 'default/old' });
  });

  it('notices that an object which was written twice is no longer', () => {
    const translator = createTranslator();
    expect(translator.update([cart, cart]).findings).toMatchObject([{ id: 'MW1106' }, { id: 'MW1004' }].toReversed());
    expect(translator.update([cart]).findings).toMatchObject([{ id: 'MW1106' }]);
  });

  it('goes on after a call that failed as if it had not been', () => {
    const translator = createTranslator();
    const first = translator.update([cart]);
    expect(() => translator.update([{ ...cart, spec: undefined } as unknown as KubernetesObject])).toThrow();
    expect(translator.update([cart])).toBe(first);
  });
});
