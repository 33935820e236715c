import { expect, it } from '@jest/globals';
import type { KubernetesObject } from '../../runtime/resources/index.ts';
import { createTranslator, translate } from '../../runtime/translate/index.ts';

/** A mesh in one namespace: per service two pods, one Deployment, one EndpointSlice, one route and one policy. */
function mesh(services: number): KubernetesObject[] {
  return Array.from({ length: services }, (_, index): KubernetesObject[] => {
    const name = `service-${index}`;
    const metadata = { name, namespace: 'shop' };
    const labels = { app: name, part: 'all', 'meshwright.dev/inject': 'enabled' };
    const spec = { serviceAccountName: name, containers: [{ name: 'app', ports: [{ containerPort: 8080 }] }] };
    const pods = ['a', 'b'].map((suffix) => `${name}-${suffix}`);
    const target = { group: '' as const, kind: 'Service' as const, name };
    return [
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata,
        spec: { selector: { part: 'all', app: name }, ports: [{ port: 80, targetPort: 8080, appProtocol: 'http' }] },
      },
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata,
        spec: { selector: { matchLabels: { part: 'all', app: name } }, template: { metadata: { labels }, spec } },
      },
      ...pods.map(
        (pod): KubernetesObject => ({
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: {
            ...metadata,
            name: pod,
            labels: { ...labels, 'meshwright.dev/proxy': 'sidecar' },
            ownerReferences: [{ kind: 'ReplicaSet', name }],
          },
          spec,
        }),
      ),
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { ...metadata, labels: { 'kubernetes.io/service-name': name } },
        addressType: 'IPv4',
        ports: [{ port: 8080, name: '' }],
        endpoints: pods.map((pod, n) => ({ addresses: [`10.${n}.0.1`], targetRef: { kind: 'Pod', name: pod } })),
      },
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'HTTPRoute',
        metadata,
        spec: { parentRefs: [target], rules: [{ backendRefs: [{ name, port: 80 }] }] },
      },
      {
        apiVersion: 'meshwright.dev/v1alpha1',
        kind: 'AccessPolicy',
        metadata,
        spec: { targetRefs: [target], rules: [{ action: 'Allow', from: [{ serviceAccount: { name } }] }] },
      },
    ];
  }).flat();
}

/** Of five runs: milliseconds of CPU time, as other work on the machine does not count. */
function fastestOf(work: (run: number) => void): number {
  const runs = Array.from({ length: 5 }, (_, run) => {
    const start = process.cpuUsage();
    work(run);
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  });
  return Math.min(...runs);
}

it('translates a thousand services of one namespace in well under 200 ms, linearly', () => {
  const fastest = (services: number) => {
    const objects = mesh(services);
    return fastestOf(() => expect(translate(objects).findings).toStrictEqual([]));
  };
  const thousand = fastest(1000);
  expect(thousand).toBeLessThan(200);
  expect(fastest(2000) / thousand).toBeLessThan(4);
});

it('brings one endpoint among a thousand services up to date in a fraction of that', () => {
  const objects = mesh(1000);
  const translator = createTranslator();
  translator.update(objects);
  const position = objects.findIndex(({ kind }) => kind === 'EndpointSlice');
  const slice = objects[position] as Extract<KubernetesObject, { kind: 'EndpointSlice' }>;
  const fastest = fastestOf((run) => {
    const endpoints = slice.endpoints!.map((endpoint) => ({ ...endpoint, conditions: { ready: run % 2 === 1 } }));
    const { resources } = translator.update(objects.with(position, { ...slice, endpoints }));
    expect(resources.find(({ kind }) => kind === 'endpoints')).toMatchObject({
      endpoints: { length: run % 2 ? 2 : 0 },
    });
  });
  expect(fastest).toBeLessThan(20);
});
