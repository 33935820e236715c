import { expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { type PodPlan, planPods } from '../../runtime/local/plan.ts';
import { bootstrapOf, commandOf, environmentOf, podManifest, readinessOf } from '../../runtime/local/pod-documents.ts';
import type { PodPorts } from '../../runtime/local/pod-ports.ts';
import { parseBootstrap } from '../../runtime/proxy/bootstrap.ts';
import { type KubernetesObject, parseObject } from '../../runtime/resources/index.ts';
import { translate } from '../../runtime/translate/index.ts';

const manifests = `
apiVersion: meshwright.dev/v1alpha1
kind: Mesh
metadata: { name: default, namespace: shop }
spec: { trustDomain: shop.test, mtls: Strict }
---
apiVersion: v1
kind: Service
metadata: { name: cart, namespace: shop }
spec:
  selector: { app: cart }
  ports:
    - { name: http, port: 80, targetPort: web, appProtocol: http }
    - { name: admin, port: 81, targetPort: 9091, appProtocol: http }
---
apiVersion: v1
kind: Service
metadata: { name: cart-store, namespace: shop }
spec: { selector: { app: cart-store }, ports: [{ name: store, port: 6380, appProtocol: tcp }] }
---
apiVersion: v1
kind: Service
metadata: { name: cart-store, namespace: other }
spec: { selector: { app: cart-store }, ports: [{ port: 6381, appProtocol: tcp }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: cart, namespace: shop }
spec:
  replicas: 2
  selector: { matchLabels: { app: cart } }
  template:
    metadata:
      labels: { app: cart, meshwright.dev/inject: enabled }
      annotations: { meshwright.dev/calls: 'shop/cart-store,other/cart-store' }
    spec:
      serviceAccountName: cart
      containers:
        - name: app
          command: [python3, -m, http.server]
          args: ['$(PORT)', '$(NOT_SET)']
          env: [{ name: PORT, value: '9080' }, { name: COLOR, value: red }]
          ports: [{ name: web, containerPort: 9080 }, { name: admin-api, containerPort: 9091 }]
          readinessProbe: { httpGet: { path: /healthz, port: admin-api } }
`;

const ports: PodPorts = {
  admin: 20_001,
  proxy: 20_002,
  inbound: [
    { port: 9080, listen: 20_003, app: 20_004 },
    { port: 9091, listen: 20_005, app: 20_006 },
  ],
  outbound: [
    { service: 'shop/cart-store', port: 6380, name: 'store', listen: 20_007 },
    { service: 'other/cart-store', port: 6381, name: '', listen: 20_008 },
  ],
  gateway: [],
};

function parse(text: string): KubernetesObject[] {
  return parseAllDocuments(text).map((document) => parseObject(document.toJS(), 'test').object!);
}

function plan(text = manifests) {
  const objects = parse(text);
  return planPods(objects, translate(objects).resources);
}

function cart(text = manifests): PodPlan {
  const [found] = plan(text).pods;
  return found;
}

it('plans the replicas of each Deployment with what they may call', () => {
  expect(plan().findings).toEqual([]);
  expect(cart()).toMatchObject({
    workload: 'shop/cart',
    serviceAccount: 'cart',
    trustDomain: 'shop.test',
    replicas: 2,
    ports: [9080, 9091],
    inMesh: true,
  });
  expect(cart().outbound.map(({ service, port }) => `${service}:${port}`)).toEqual([
    'other/cart-store:6381',
    'shop/cart-store:6380',
  ]);
});

it('replaces pods only for what they cannot take over while they run', () => {
  const { revision } = cart();
  expect(cart(manifests.replace('replicas: 2', 'replicas: 3')).revision).toBe(revision);
  expect(cart(manifests.replace('mtls: Strict', 'mtls: Permissive')).revision).toBe(revision);
  expect(cart(manifests.replace('value: red', 'value: blue')).revision).not.toBe(revision);
  expect(cart(manifests.replace('port: 6380', 'port: 6390')).revision).not.toBe(revision);
});

it('refuses a container that could only be run from its image', () => {
  const { pods, findings } = plan(manifests.replace('command: [python3, -m, http.server]', 'image: python'));
  expect(pods).toEqual([]);
  expect(findings).toMatchObject([{ id: 'MW1512', object: 'Deployment shop/cart' }]);
});

it('says of other kinds of workloads that they are not run', () => {
  const { findings } = plan(manifests.replace('kind: Deployment', 'kind: StatefulSet'));
  expect(findings).toMatchObject([{ id: 'MW1517', severity: 'warning', object: 'StatefulSet shop/cart' }]);
});

it('tells an application its ports, its proxy and the services it calls', () => {
  const container = cart().template.spec.containers[0];
  expect(environmentOf(cart(), container, ports, { HOME: '/home/ada', PATH: '/bin' })).toMatchObject({
    HOME: '/home/ada',
    PATH: expect.stringMatching(/:\/bin$/),
    COLOR: 'red',
    PORT: '20004',
    PORT_WEB: '20004',
    PORT_ADMIN_API: '20006',
    HTTP_PROXY: 'http://127.0.0.1:20002',
    http_proxy: 'http://127.0.0.1:20002',
    NODE_USE_ENV_PROXY: '1',
    CART_STORE_SERVICE_HOST: '127.0.0.1',
    CART_STORE_SERVICE_PORT: '20007',
    CART_STORE_SERVICE_PORT_STORE: '20007',
  });
});

it('leaves an application outside the mesh without a proxy', () => {
  const outside = cart(manifests.replace('meshwright.dev/inject: enabled', 'meshwright.dev/inject: disabled'));
  expect(outside.inMesh).toBe(false);
  const env = environmentOf(outside, outside.template.spec.containers[0], ports, {});
  expect(env.PORT).toBe('20004');
  expect(env).not.toHaveProperty('HTTP_PROXY');
});

it('replaces variables in a command as Kubernetes does', () => {
  const container = cart().template.spec.containers[0];
  expect(commandOf(container, { PORT: '20004' })).toEqual(['python3', '-m', 'http.server', '20004', '$(NOT_SET)']);
});

it('asks for readiness where the probe says, else by a connection to the first port', () => {
  const container = cart().template.spec.containers[0];
  expect(readinessOf(cart(), container, ports)).toEqual({ port: 20_006, path: '/healthz' });
  expect(readinessOf(cart(), { ...container, readinessProbe: undefined }, ports)).toEqual({ port: 20_004 });
  expect(readinessOf(cart(), { name: 'worker' }, ports)).toBeUndefined();
});

it('writes pods and endpoints that the controller takes for a ready, meshed replica', () => {
  const endpoints = (ready: boolean) => {
    const objects = [...parse(manifests), ...parse(podManifest(cart(), 'cart-0', ports, ready))];
    return translate(objects).resources.find(({ kind, name }) => kind === 'endpoints' && name === 'shop/cart');
  };
  expect(endpoints(true)).toEqual({
    kind: 'endpoints',
    name: 'shop/cart',
    endpoints: [
      {
        address: '127.0.0.1',
        ports: { 80: 20_003, 81: 20_005 },
        identity: 'spiffe://shop.test/ns/shop/sa/cart',
        workload: 'shop/cart',
      },
    ],
  });
  expect(endpoints(false)).toMatchObject({ endpoints: [] });
});

it('writes a bootstrap document that the sidecar accepts', () => {
  const controller = { address: '127.0.0.1:15010', bundle: 'PEM' };
  const bootstrap = bootstrapOf(cart(), 'cart-0', ports, controller, '/state/cart-0');
  expect(parseBootstrap(JSON.parse(JSON.stringify(bootstrap)), 'test')).toMatchObject({
    id: 'cart-0.shop',
    workload: 'shop/cart',
    inbound: [{ listen: '127.0.0.1:20003', port: 9080, app: '127.0.0.1:20004' }, {}],
    outbound: { proxy: '127.0.0.1:20002' },
    admin: '127.0.0.1:20001',
  });
});
