import { expect, it } from '@jest/globals';
import { sliceResources } from '../../runtime/controller/slices.ts';
import { parseObject } from '../../runtime/resources/index.ts';
import { translate } from '../../runtime/translate/index.ts';

const metadata = (name: string) => ({ name, namespace: 'shop' });
const service = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: metadata(name),
  spec: { ports: [{ port: 80, appProtocol: 'http' }] },
});
const deployment = (name: string, annotations: object, labels: object = { app: name }) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: metadata(name),
  spec: {
    selector: { matchLabels: labels },
    template: { metadata: { labels, annotations }, spec: { serviceAccountName: name, containers: [{ name: 'app' }] } },
  },
});
const raw = [
  ...['reviews', 'reviews-v1', 'copy', 'cart', 'web'].map(service),
  deployment('web', { 'meshwright.dev/calls': 'shop/reviews' }),
  deployment('free', {}),
  deployment('edge', {}, { 'gateway.networking.k8s.io/gateway-name': 'front' }),
  {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: metadata('reviews'),
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: 'reviews' }],
      rules: [
        {
          filters: [{ type: 'RequestMirror', requestMirror: { backendRef: { name: 'copy', port: 80 } } }],
          backendRefs: [{ name: 'reviews-v1', port: 80 }],
        },
      ],
    },
  },
  {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: metadata('front'),
    spec: { gatewayClassName: 'meshwright', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
  },
  {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: metadata('front'),
    spec: { parentRefs: [{ name: 'front' }], rules: [{ backendRefs: [{ name: 'web', port: 80 }] }] },
  },
];
const { resources } = translate(raw.map((object) => parseObject(object, 'test').object!));
const { permit, isEndpoint } = sliceResources([
  ...resources,
  { kind: 'endpoints', name: 'shop/far', endpoints: [{ address: '10.0.0.7', ports: {} }] },
]);

/** The names of a kind that a service account may see. */
function visible(account: string, kind: 'service' | 'endpoints' | 'workload' | 'gateway', namespace = 'shop') {
  const identity = { trustDomain: 'cluster.local', namespace, serviceAccount: account };
  return resources
    .filter((resource) => resource.kind === kind && permit(identity, kind, resource.name))
    .map(({ name }) => name);
}

it('shows a proxy its own workload only', () => {
  expect(visible('web', 'workload')).toStrictEqual(['shop/web']);
  expect(visible('web', 'workload', 'other')).toStrictEqual([]);
  expect(visible('stranger', 'service')).toStrictEqual([]);
});

it('shows a proxy the services it declares to call, and those their routes lead to', () => {
  expect(visible('web', 'service')).toStrictEqual(['shop/copy', 'shop/reviews', 'shop/reviews-v1']);
  expect(visible('web', 'endpoints')).toStrictEqual(['shop/copy', 'shop/reviews', 'shop/reviews-v1']);
});

it('shows all services to a proxy whose workload declares nothing', () => {
  expect(visible('free', 'service')).toHaveLength(5);
  expect(visible('free', 'gateway')).toStrictEqual([]);
});

it('shows a gateway itself and the services its routes name', () => {
  expect(visible('edge', 'gateway')).toStrictEqual(['shop/front']);
  expect(visible('edge', 'service')).toStrictEqual(['shop/web']);
});

it('knows which addresses belong to the mesh', () => {
  for (const address of ['127.0.0.1:1', '[::1]:80', '10.0.0.7:15020'])
    expect([address, isEndpoint(address)]).toStrictEqual([address, true]);
  for (const address of ['169.254.169.254:80', 'localhost:80', '10.0.0.8:15020', '127.0.0.1', '127.0.0.1:80/x', '']) {
    expect([address, isEndpoint(address)]).toStrictEqual([address, false]);
  }
});

it('shows a workload to all accounts its pods run as while one version replaces another', () => {
  const workload = { name: 'shop/cart', serviceAccount: 'cart', otherServiceAccounts: ['default'] };
  const found = resources.find(({ name, kind }) => kind === 'workload' && name === 'shop/web')!;
  const rolling = sliceResources([{ ...found, ...workload } as typeof found]);
  const sees = (serviceAccount: string) =>
    rolling.permit({ trustDomain: 'cluster.local', namespace: 'shop', serviceAccount }, 'workload', 'shop/cart');
  expect(['cart', 'default', 'web'].map(sees)).toStrictEqual([true, true, false]);
});
