import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { after, before } from '../../runtime/cli/check/index.ts';
import { CheckReport } from '../../runtime/cli/check/report.ts';
import { type CheckResult, runChecks } from '../../runtime/cli/check/run.ts';
import { ApiError } from '../../runtime/kubernetes/index.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type FakeCluster, soundCluster } from './check/fake-cluster.ts';

/*
 * What each check says of a cluster in which one thing is wrong.
 */

const day = 24 * 60 * 60 * 1000;
const lifetime = 3650 * day;

interface Wrong {
  /** The check that sees it. */
  readonly id: string;
  readonly result: 'warning' | 'error';
  readonly message: string | RegExp;
  spoil(cluster: FakeCluster, clock: ManualClock): void;
}

async function check(
  categories: typeof after,
  spoil: (cluster: FakeCluster, clock: ManualClock) => void = () => undefined,
): Promise<CheckResult[]> {
  const clock = new ManualClock();
  const cluster = await soundCluster(clock);
  spoil(cluster, clock);
  const options = { look: () => cluster, clock, version: '0.1.0', wait: 0, onWaiting: () => undefined };
  const results: CheckResult[] = [];
  for await (const result of runChecks(categories, options)) results.push(result);
  return results;
}

const controller = ['Deployment', 'meshwright-system/meshwright-controller'] as const;
const system = 'meshwright-system';

const wrongBefore: readonly Wrong[] = [
  {
    id: 'kubernetes-answers',
    result: 'error',
    message: 'GET /version: connect ECONNREFUSED',
    spoil(cluster) {
      cluster.version = () => Promise.reject(new Error('GET /version: connect ECONNREFUSED'));
    },
  },
  {
    id: 'kubernetes-version',
    result: 'error',
    message: 'it is v1.28.15+k3s1',
    spoil(cluster) {
      cluster.gitVersion = 'v1.28.15+k3s1';
    },
  },
  {
    id: 'nodes-linux',
    result: 'warning',
    message: 'pods on these cannot be in a mesh: win1 (windows)',
    spoil(cluster) {
      const nodeInfo = { operatingSystem: 'windows' };
      cluster.objects.push({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'win1' }, status: { nodeInfo } });
    },
  },
  {
    id: 'nodes-linux',
    result: 'error',
    message: 'none does: node1 (windows)',
    spoil: (cluster) =>
      cluster.edit('Node', 'node1', ({ status }) => {
        status.nodeInfo = { operatingSystem: 'windows' };
      }),
  },
  {
    id: 'gateway-api-installed',
    result: 'error',
    message: 'not in version v1: httproutes.gateway.networking.k8s.io, grpcroutes.gateway.networking.k8s.io',
    spoil(cluster) {
      cluster.remove('CustomResourceDefinition', 'grpcroutes.gateway.networking.k8s.io');
      cluster.edit('CustomResourceDefinition', 'httproutes.gateway.networking.k8s.io', ({ spec }) => {
        spec.versions = [
          { name: 'v1beta1', served: true },
          { name: 'v1', served: false },
        ];
      });
    },
  },
  {
    id: 'gateway-api-version',
    result: 'error',
    message: 'it is v1.0.0',
    spoil: (cluster) =>
      cluster.edit('CustomResourceDefinition', 'httproutes.gateway.networking.k8s.io', ({ metadata }) => {
        metadata.annotations = { 'gateway.networking.k8s.io/bundle-version': 'v1.0.0' };
      }),
  },
  {
    id: 'gateway-api-version',
    result: 'warning',
    message: /^its definitions do not say/,
    spoil: (cluster) =>
      cluster.edit('CustomResourceDefinition', 'httproutes.gateway.networking.k8s.io', ({ metadata }) => {
        delete metadata.annotations;
      }),
  },
  {
    id: 'permission-to-install',
    result: 'error',
    message: 'you may not create and patch them',
    spoil: ({ forbidden }) => forbidden.add('create clusterroles').add('patch clusterroles'),
  },
];

const wrongAfter: readonly Wrong[] = [
  {
    id: 'definitions-installed',
    result: 'error',
    message: 'not there: faultpolicies.meshwright.dev',
    spoil: (cluster) => cluster.remove('CustomResourceDefinition', 'faultpolicies.meshwright.dev'),
  },
  {
    id: 'definitions-current',
    result: 'warning',
    message: 'of another version: meshes.meshwright.dev',
    spoil: (cluster) =>
      cluster.edit('CustomResourceDefinition', 'meshes.meshwright.dev', ({ spec }) => {
        const [version] = spec.versions as { schema: { openAPIV3Schema: { description?: string } } }[];
        Object.assign(version, { additionalPrinterColumns: [] });
      }),
  },
  {
    id: 'controller-installed',
    result: 'error',
    message: 'there is no Deployment meshwright-system/meshwright-controller',
    spoil: (cluster) => cluster.remove(controller[0], 'meshwright-controller'),
  },
  {
    id: 'controller-ready',
    result: 'error',
    message: '1 of 2 ready, 2 of the latest revision; meshwright-controller-b: ImagePullBackOff: no such image',
    spoil(cluster) {
      cluster.edit(...controller, ({ status }) => {
        status.readyReplicas = 1;
      });
      const waiting = { reason: 'ImagePullBackOff', message: 'no such image' };
      cluster.objects.push({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: 'meshwright-controller-b',
          namespace: system,
          labels: { 'app.kubernetes.io/name': 'meshwright-controller' },
        },
        spec: { containers: [{ name: 'controller' }] },
        status: { phase: 'Pending', containerStatuses: [{ name: 'controller', ready: false, state: { waiting } }] },
      });
    },
  },
  {
    id: 'controller-ready',
    result: 'error',
    message: '2 of 2 ready, 2 of the latest revision',
    spoil: (cluster) =>
      cluster.edit(...controller, ({ metadata }) => {
        metadata.generation = 2;
      }),
  },
  {
    id: 'controller-replicas',
    result: 'warning',
    message: /^it has 1 replica/,
    spoil: (cluster) =>
      cluster.edit(...controller, ({ spec }) => {
        spec.replicas = 1;
      }),
  },
  {
    id: 'controller-endpoints',
    result: 'error',
    message: 'Service meshwright-system/meshwright-controller has no ready endpoint for grpc-xds, https-webhook',
    spoil: (cluster) =>
      cluster.edit('EndpointSlice', `${system}/meshwright-controller-1`, (slice) => {
        slice.endpoints = [{ addresses: ['10.0.0.1'], conditions: { ready: false } }];
      }),
  },
  {
    id: 'controller-leader',
    result: 'error',
    message: 'a led last 60 s ago',
    spoil: (_, clock) => clock.advance(60_000),
  },
  {
    id: 'controller-leader',
    result: 'error',
    message: 'nobody holds the Lease',
    spoil: (cluster) =>
      cluster.edit('Lease', `${system}/meshwright-controller`, ({ spec }) => {
        spec.holderIdentity = '';
      }),
  },
  {
    id: 'controller-leader',
    result: 'error',
    message: 'there is no Lease meshwright-system/meshwright-controller: none has ever led',
    spoil: (cluster) => cluster.remove('Lease', 'meshwright-controller'),
  },
  {
    id: 'controller-version',
    result: 'warning',
    message: 'it is 0.0.9, this command line 0.1.0',
    spoil: (cluster) =>
      cluster.edit(...controller, ({ metadata }) => {
        metadata.labels = { 'app.kubernetes.io/version': '0.0.9' };
      }),
  },
  {
    id: 'injector-configured',
    result: 'error',
    message: 'there is no MutatingWebhookConfiguration meshwright-injector with a webhook',
    spoil: (cluster) => cluster.remove('MutatingWebhookConfiguration', 'meshwright-injector'),
  },
  {
    id: 'injector-certificate',
    result: 'error',
    message: 'the caBundle of webhook namespace.inject.meshwright.dev holds no certificate',
    spoil: (cluster) =>
      cluster.edit('MutatingWebhookConfiguration', 'meshwright-injector', ({ webhooks }) => {
        for (const { clientConfig } of webhooks as { clientConfig: { caBundle?: string } }[]) {
          delete clientConfig.caBundle;
        }
      }),
  },
  {
    id: 'injector-answers',
    result: 'error',
    message: 'failed calling webhook "namespace.inject.meshwright.dev": x509: certificate signed by unknown authority',
    spoil(cluster) {
      const says =
        'failed calling webhook "namespace.inject.meshwright.dev": x509: certificate signed by unknown authority';
      cluster.refusal = new ApiError(says, { status: 500, reason: 'InternalError' });
    },
  },
  {
    id: 'injector-answers',
    result: 'error',
    message: 'a dry run of one in namespace shop came back without',
    spoil(cluster) {
      cluster.injects = false;
    },
  },
  {
    id: 'injector-answers',
    result: 'warning',
    message: 'not known: pods is forbidden: exceeded quota',
    spoil(cluster) {
      cluster.refusal = new ApiError('pods is forbidden: exceeded quota', { status: 403, reason: 'Forbidden' });
    },
  },
  {
    id: 'authority-expiry',
    result: 'error',
    message: 'there is no Secret meshwright-system/meshwright-ca',
    spoil: (cluster) => cluster.remove('Secret', 'meshwright-ca'),
  },
  {
    id: 'authority-expiry',
    result: 'error',
    message: 'tls.crt of Secret meshwright-ca holds no certificate',
    spoil: (cluster) =>
      cluster.edit('Secret', `${system}/meshwright-ca`, (secret) => {
        secret.data = {};
      }),
  },
  {
    id: 'root-distributed',
    result: 'error',
    message: 'no ConfigMap meshwright-root in shop',
    spoil(cluster) {
      cluster.objects = cluster.objects.filter(
        ({ kind, metadata }) => kind !== 'ConfigMap' || metadata.namespace !== 'shop',
      );
    },
  },
  {
    id: 'namespaces-admit',
    result: 'error',
    message: /^pod-security.kubernetes.io\/enforce of shop refuses the capability NET_ADMIN/,
    spoil: (cluster) =>
      cluster.edit('Namespace', 'shop', ({ metadata }) => {
        Object.assign(metadata.labels as object, { 'pod-security.kubernetes.io/enforce': 'baseline' });
      }),
  },
  {
    id: 'pods-injected',
    result: 'warning',
    message:
      'without: shop/old (made before injection was on, or past it), shop/host (it uses the network of its node (hostNetwork); a redirection would be for the whole node)',
    spoil(cluster) {
      const pod = (name: string, spec = {}) => ({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: 'shop' },
        spec: { containers: [{ name: 'app', image: 'a' }], ...spec },
        status: { phase: 'Running' },
      });
      const done = { ...pod('done'), status: { phase: 'Succeeded' } };
      const out = pod('out');
      Object.assign(out.metadata, { labels: { 'meshwright.dev/inject': 'disabled' } });
      cluster.objects.push(pod('old'), pod('host', { hostNetwork: true }), done, out);
    },
  },
  {
    id: 'proxies-ready',
    result: 'error',
    message: 'not ready: shop/web-1 (CreateContainerConfigError: configmap "meshwright-root" not found)',
    spoil: (cluster) =>
      cluster.edit('Pod', 'shop/web-1', ({ status }) => {
        const waiting = { reason: 'CreateContainerConfigError', message: 'configmap "meshwright-root" not found' };
        status.initContainerStatuses = [{ name: 'meshwright-proxy', ready: false, state: { waiting } }];
      }),
  },
  {
    id: 'proxies-current',
    result: 'warning',
    message: '1 are not of registry.example/meshwright:0.2.0: shop/web-1 (meshwright/meshwright:0.1.0)',
    spoil: (cluster) =>
      cluster.edit(...controller, ({ spec }) => {
        const { template } = spec as { template: { spec: { containers: { env?: unknown }[] } } };
        template.spec.containers[0].env = [
          { name: 'MESHWRIGHT_SIDECAR_IMAGE', value: 'registry.example/meshwright:0.2.0' },
        ];
      }),
  },
  {
    id: 'mesh-object',
    result: 'warning',
    message: 'no namespace has a Mesh object',
    spoil: (cluster) => cluster.remove('Mesh', 'default'),
  },
  {
    id: 'mesh-trust-domain',
    result: 'error',
    message: 'Mesh shop/default says other.local, but certificates are of shop.local',
    spoil: (cluster) =>
      cluster.edit('Mesh', 'shop/default', ({ spec }) => {
        spec.trustDomain = 'other.local';
      }),
  },
  {
    id: 'objects-judged',
    result: 'error',
    message: 'it says nothing yet of AccessPolicy shop/cart-access',
    spoil: (cluster) =>
      cluster.edit('AccessPolicy', 'shop/cart-access', ({ metadata }) => {
        metadata.generation = 3;
      }),
  },
  {
    id: 'objects-accepted',
    result: 'error',
    message: 'refused: AccessPolicy shop/cart-access (Service shop/cart is not there)',
    spoil: (cluster) =>
      cluster.edit('AccessPolicy', 'shop/cart-access', ({ status }) => {
        const [condition] = status.conditions as object[];
        Object.assign(condition, { status: 'False', message: 'Service shop/cart is not there' });
      }),
  },
  {
    id: 'objects-accepted',
    result: 'error',
    message: 'refused: HTTPRoute shop/canary (ResolvedRefs)',
    spoil: (cluster) =>
      cluster.edit('HTTPRoute', 'shop/canary', ({ status }) => {
        const [ours] = status.parents as { conditions: object[] }[];
        ours.conditions.push({ type: 'ResolvedRefs', status: 'False', message: '' });
      }),
  },
  {
    id: 'objects-accepted',
    result: 'error',
    message: 'refused: TLSRoute shop/by-name (proxy web-0 refused it)',
    spoil: (cluster) => {
      const refused = { type: 'Programmed', status: 'False', message: 'proxy web-0 refused it' };
      const parents = [{ controllerName: 'meshwright.dev/gateway-controller', conditions: [refused] }];
      const metadata = { name: 'by-name', namespace: 'shop' };
      cluster.objects.push({
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'TLSRoute',
        metadata,
        status: { parents },
      });
    },
  },
];

describe.each([
  ['--pre', before, wrongBefore],
  ['without --pre', after, wrongAfter],
] as const)('check %s', (_, categories, wrong) => {
  it('finds nothing wrong with a sound cluster', async () => {
    const results = await check(categories);
    expect(results.filter(({ result }) => result !== 'ok')).toEqual([]);
  });

  it.each(wrong)('sees by $id that $message', async ({ spoil, id, result, message }) => {
    const results = await check(categories, spoil);
    expect(results.filter((each) => each.result === 'warning' || each.result === 'error')).toEqual([
      expect.objectContaining({
        id,
        result,
        message: typeof message === 'string' ? message : expect.stringMatching(message),
        hint: expect.stringMatching(/./),
      }),
    ]);
  });
});

describe('certificates', () => {
  const expiring = async (left: number) => {
    const results = await check(after, (cluster, clock) => {
      clock.advance(lifetime - left);
      cluster.edit('Lease', `${system}/meshwright-controller`, ({ spec }) => {
        spec.renewTime = new Date(clock.wallTime()).toISOString();
      });
    });
    return results
      .filter(({ result }) => result !== 'ok')
      .map(({ id, result, message }) => `${result} ${id}: ${message}`);
  };
  const when = /expires at \d{4}-\d\d-\d\dT[\d:.]+Z, in/;

  it('are warned of a month before their end', async () => {
    expect(await expiring(31 * day)).toEqual([]);
    const found = await expiring(29 * day);
    expect(found.map((line) => line.replace(when, 'expires in'))).toEqual([
      'warning injector-certificate: the caBundle of webhook namespace.inject.meshwright.dev expires in 29.0 days',
      'warning authority-expiry: tls.crt of Secret meshwright-ca expires in 29.0 days',
      'warning root-expiry: root.pem of ConfigMap meshwright-system/meshwright-root expires in 29.0 days',
    ]);
  });

  it('are an error a week before, and after', async () => {
    expect((await expiring(6 * day)).filter((line) => line.startsWith('error'))).toHaveLength(3);
    expect((await expiring(-1000)).filter((line) => /^error .* expired at /.test(line))).toHaveLength(3);
  });

  it('of another authority than proxies trust are an error', async () => {
    const stranger = await soundCluster(new ManualClock());
    const results = await check(after, (cluster) => {
      cluster.remove('Secret', 'meshwright-ca');
      cluster.objects.push(stranger.find('Secret', 'meshwright-ca', system)!);
    });
    expect(results.filter(({ result }) => result !== 'ok')).toMatchObject([
      {
        id: 'authority-trusted',
        message: 'those of meshwright-system, shop do not, so proxies there would refuse all others',
      },
    ]);
  });

  it('that may not be read are not known, which is no error', async () => {
    const results = await check(after, (cluster) => cluster.secret.add('Secret'));
    expect(results.filter(({ result }) => result !== 'ok')).toMatchObject(
      ['authority-expiry', 'authority-trusted', 'mesh-trust-domain'].map((id) => ({
        id,
        result: 'warning',
        message: 'not known: Secret is forbidden: you cannot read it',
      })),
    );
  });
});

describe('what depends on what is not there', () => {
  it('is not asked', async () => {
    const results = await check(after, (cluster) => cluster.remove(controller[0], 'meshwright-controller'));
    const asked = results.filter(({ result }) => result !== 'skipped').map(({ category }) => category);
    expect([...new Set(asked)]).toEqual(['kubernetes', 'gateway-api', 'definitions', 'control-plane']);
    expect(results.filter(({ category, result }) => category === 'control-plane' && result !== 'skipped')).toHaveLength(
      1,
    );
    expect(results.filter(({ result }) => result === 'ok').length).toBeGreaterThan(4);
  });

  it('is not asked either where that is another thing that depends on it', async () => {
    const results = await check(after, (cluster) =>
      cluster.remove('CustomResourceDefinition', 'meshes.meshwright.dev'),
    );
    const skipped = new Set(results.filter(({ result }) => result === 'skipped').map(({ category }) => category));
    expect([...skipped]).toEqual(['definitions', 'configuration']);
  });
});

describe('the report', () => {
  async function report(format: 'table' | 'short' | 'json'): Promise<string> {
    let text = '';
    const printed = new CheckReport(format, (part) => {
      text += part;
    });
    const results = await check(after, (cluster) => {
      cluster.edit(...controller, ({ spec }) => {
        spec.replicas = 1;
      });
      cluster.remove('MutatingWebhookConfiguration', 'meshwright-injector');
    });
    for (const result of results) printed.add(result);
    printed.end();
    return text;
  }

  it.each(['table', 'short', 'json'] as const)('as %s is this', async (format) => {
    expect(await report(format)).toMatchSnapshot();
  });

  it('as short says only that all is well where it is', async () => {
    let text = '';
    const printed = new CheckReport('short', (part) => {
      text += part;
    });
    for (const result of await check(before)) printed.add(result);
    printed.end();
    expect(text).toBe('√ 17 of 17 checks hold\n');
  });
});

it('docs/check.md tells of each check', () => {
  const page = readFileSync('docs/check.md', 'utf8');
  const ids = new Set([...before, ...after].flatMap(({ checks }) => checks.map(({ id }) => id)));
  const headings = new Set([...page.matchAll(/^### (.*)$/gm)].map(([, heading]) => heading));
  expect(headings).toEqual(ids);
});
