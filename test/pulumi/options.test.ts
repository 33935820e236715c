import { describe, expect, test } from '@jest/globals';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { ApiObject, Chart } from 'cdk8s';
import { App, Gateway, Mesh, Port, Route, Service } from 'meshwright';
import { configure, input, PulumiApp } from 'meshwright/pulumi';
import { customResourceDefinitions } from '../../runtime/resources/index.ts';
import { runInProcess } from './in-process.ts';

const http = { http: Port.http(8080) };
const workload = { image: 'example/service:1' };

function smallMesh(id = 'shop') {
  const mesh = new Mesh(new App(), id, { trustDomain: 'shop.local' });
  const web = new Service(mesh, 'web', { ports: http, workload });
  const cart = new Service(mesh, 'cart', { ports: http, workload });
  const deployment = cart.node.findChild('Workload').node.findChild('Deployment') as ApiObject;
  return { mesh, web, cart, deployment };
}

describe('order', () => {
  test('is: namespaces and definitions, service accounts, workloads', async () => {
    const monitor = await runInProcess(() => {
      const { mesh, web, cart } = smallMesh();
      const chart = new Chart(mesh.node.root, 'install', { disableResourceNameHashes: true });
      new ApiObject(chart, 'Namespace', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
      for (const definition of customResourceDefinitions()) {
        new ApiObject(chart, definition.metadata.name, definition as never);
      }
      cart.node.addDependency(web);
      new PulumiApp('east', mesh);
    });
    const [namespace, meshes] = ['Namespace', 'meshes.meshwright.dev'].map(
      (id) => monitor.at(`east/install/${id}`).urn,
    );
    const urnOf = (name: string) => monitor.at(`east/shop/${name}`).urn;
    expect(monitor.at('east/shop/Resource').dependencies).toEqual([meshes, namespace].toSorted());
    expect(monitor.at('east/shop/web/Workload/Deployment').dependencies).toEqual(
      [namespace, urnOf('web/Workload/ServiceAccount')].toSorted(),
    );
    expect(monitor.at('east/shop/cart/Resource').dependencies).toEqual(
      [namespace, ...['web/Resource', 'web/Workload/ServiceAccount', 'web/Workload/Deployment'].map(urnOf)].toSorted(),
    );
  });

  test('waits for what the program states', async () => {
    const monitor = await runInProcess(() => {
      const database = new k8s.core.v1.ConfigMap('database', {});
      new PulumiApp('east', smallMesh().mesh, { dependsOn: database });
    });
    const { urn } = monitor.at('database');
    const undecided = monitor.objects.filter(
      ({ name, dependencies }) => name !== 'database' && !dependencies.includes(urn),
    );
    expect(undecided).toEqual([]);
  });
});

describe('options', () => {
  test('of the app hold for all that is in it', async () => {
    const monitor = await runInProcess(() => {
      const cluster = new k8s.Provider('east', { context: 'east' });
      new PulumiApp('east', smallMesh().mesh, {
        provider: cluster,
        protect: true,
        retainOnDelete: true,
        ignoreChanges: ['metadata.annotations'],
        customTimeouts: { create: '2m' },
      });
    });
    const provider = monitor.registrations.find(({ type }) => type === 'pulumi:providers:kubernetes')!;
    expect(monitor.objects.length).toBe(7);
    for (const object of monitor.objects) {
      expect(object).toMatchObject({
        protect: true,
        ignoreChanges: ['metadata.annotations'],
        options: { retainOnDelete: true, createTimeout: '2m' },
      });
      expect(object.provider).toMatch(`${provider.urn}::`);
    }
  });

  test('of a construct hold for what is inside of it, of an object for it alone', async () => {
    const monitor = await runInProcess(() => {
      const { mesh, web, cart, deployment } = smallMesh();
      configure(cart, { protect: true, aliases: ['urn:pulumi:dev::shop::example:index:Cart::cart'] });
      configure(cart, { ignoreChanges: ['metadata.labels'] });
      configure(deployment, { ignoreChanges: ['spec.replicas'] });
      configure(ApiObject.of(web), { import: 'shop/web' });
      new PulumiApp('east', mesh);
    });
    expect(monitor.objects.filter(({ protect }) => protect).map(({ name }) => name)).toEqual([
      'east/shop/cart/Resource',
      'east/shop/cart/Workload/Deployment',
      'east/shop/cart/Workload/ServiceAccount',
    ]);
    expect(monitor.at('east/shop/cart/Workload/Deployment').ignoreChanges).toEqual([
      'metadata.labels',
      'spec.replicas',
    ]);
    expect(monitor.at('east/shop/cart/Resource').ignoreChanges).toEqual(['metadata.labels']);
    expect(monitor.at('east/shop/cart').aliases).toEqual(['urn:pulumi:dev::shop::example:index:Cart::cart']);
    expect(monitor.at('east/shop/web/Resource').options.importId).toBe('shop/web');
  });

  test('can be given a transform that reaches any field, with Outputs, the innermost last', async () => {
    const monitor = await runInProcess(() => {
      const { mesh, cart, deployment } = smallMesh();
      configure(mesh, {
        transform: ({ metadata }) => Object.assign(metadata.labels ?? {}, { team: 'mesh', tier: 'a' }),
      });
      configure(cart, { transform: ({ metadata }) => Object.assign(metadata.labels ?? {}, { team: 'cart' }) });
      configure(deployment, {
        transform: ({ spec }, options) => {
          spec.template.spec.priorityClassName = pulumi.output('high');
          options.deleteBeforeReplace = true;
        },
      });
      new PulumiApp('east', mesh);
    });
    const { inputs } = monitor.at('east/shop/cart/Workload/Deployment');
    expect(inputs).toMatchObject({
      metadata: { labels: { team: 'cart', tier: 'a' } },
      spec: { template: { spec: { priorityClassName: 'high' } } },
    });
    expect(monitor.at('east/shop/web/Resource').inputs).toMatchObject({ metadata: { labels: { team: 'mesh' } } });
  });

  test("hand Pulumi's own transforms to it", async () => {
    const monitor = await runInProcess(() => {
      new PulumiApp('east', smallMesh().mesh, { transforms: [({ props, opts }) => ({ props, opts })] });
    });
    expect(monitor.at('east').transforms).toBe(1);
  });

  test('make the app part of a component', async () => {
    const monitor = await runInProcess(() => {
      const platform = new pulumi.ComponentResource('acme:index:Platform', 'platform');
      new PulumiApp('east', smallMesh().mesh, { parent: platform });
    });
    expect(monitor.at('east/shop').urn).toContain('acme:index:Platform$meshwright:index:App$meshwright:index:Mesh::');
  });
});

describe('waiting', () => {
  const waitFor = 'pulumi.com/waitFor';
  const annotationsOf = (inputs: unknown) => (inputs as { metadata: { annotations: object } }).metadata.annotations;

  test('is until the controller accepts our own kinds', async () => {
    const { objects } = await runInProcess(() => new PulumiApp('east', smallMesh().mesh));
    const waiting = objects.filter(({ inputs }) => waitFor in annotationsOf(inputs));
    expect(waiting.map(({ name, inputs }) => [name, annotationsOf(inputs)])).toEqual([
      ['east/shop/Resource', expect.objectContaining({ [waitFor]: 'condition=Accepted' })],
    ]);
  });

  test('can be left out', async () => {
    const { objects } = await runInProcess(() => new PulumiApp('east', smallMesh().mesh, { skipAwait: true }));
    for (const { inputs } of objects) {
      expect(annotationsOf(inputs)).toMatchObject({ 'pulumi.com/skipAwait': 'true' });
      expect(annotationsOf(inputs)).not.toHaveProperty([waitFor]);
    }
  });
});

describe('one stack', () => {
  test('can hold two meshes, each in a cluster of its own', async () => {
    const monitor = await runInProcess(() => {
      for (const cluster of ['east', 'west']) {
        const provider = new k8s.Provider(cluster, { context: cluster });
        new PulumiApp(cluster, smallMesh().mesh, { provider });
      }
    });
    const providerOf = (name: string) => monitor.at(name).provider.split('::').at(-2);
    expect(monitor.objects).toHaveLength(14);
    expect(providerOf('east/shop/web/Resource')).toBe('east');
    expect(providerOf('west/shop/web/Resource')).toBe('west');
  });

  test('can hold two meshes in one tree', async () => {
    const monitor = await runInProcess(() => {
      const app = new App();
      for (const id of ['shop', 'bank']) {
        new Service(new Mesh(app, id, { trustDomain: `${id}.local` }), 'web', { ports: http, workload });
      }
      new PulumiApp('east', app);
    });
    expect(monitor.at('east/bank/web/Resource').inputs).toMatchObject({ metadata: { namespace: 'bank', name: 'web' } });
  });
});

test('a mesh of another stack can be built upon, its services by name', async () => {
  const stacks = { 'acme/platform/prod': { mesh: { namespace: 'store' } } };
  const monitor = await runInProcess(
    () => {
      const platform = new pulumi.StackReference('acme/platform/prod');
      const namespace = input(platform.requireOutput('mesh').apply((mesh): string => mesh.namespace));
      const shop = Mesh.fromName(new App(), 'shop', { namespace });
      const reviews = Service.fromName(shop, 'reviews', { ports: http, versions: ['v1', 'v2'] });
      new Route(reviews, 'canary', { parent: reviews, rules: [{ to: reviews.split({ v1: 90, v2: 10 }) }] });
      new PulumiApp('canary', shop);
    },
    { stacks },
  );
  expect(monitor.objects.map(({ inputs }) => inputs)).toMatchObject([
    {
      kind: 'HTTPRoute',
      metadata: { namespace: 'store', name: 'reviews-canary' },
      spec: {
        parentRefs: [{ name: 'reviews' }],
        rules: [{ backendRefs: [{ name: 'reviews-v1' }, { name: 'reviews-v2' }] }],
      },
    },
  ]);
});

test('kinds that @pulumi/kubernetes has get its classes, all others CustomResource', async () => {
  const monitor = await runInProcess(() => {
    const { mesh, web } = smallMesh();
    const gateway = new Gateway(mesh, 'door', { listeners: { http: { port: 80 } } });
    new Route(gateway, 'all', { parent: gateway, rules: [{ to: web }] });
    for (const apiVersion of ['networking.k8s.io/v1', 'networking.istio.io/v1']) {
      new ApiObject(mesh, apiVersion.replace('/', '-'), { apiVersion, kind: 'Ingress', spec: {} });
    }
    new PulumiApp('east', mesh);
  });
  expect([...new Set(monitor.objects.map(({ type }) => type))].toSorted()).toEqual([
    'kubernetes:apps/v1:Deployment',
    'kubernetes:core/v1:Service',
    'kubernetes:core/v1:ServiceAccount',
    'kubernetes:gateway.networking.k8s.io/v1:Gateway',
    'kubernetes:gateway.networking.k8s.io/v1:HTTPRoute',
    'kubernetes:meshwright.dev/v1alpha1:Mesh',
    'kubernetes:networking.istio.io/v1:Ingress',
    'kubernetes:networking.k8s.io/v1:Ingress',
  ]);
  // Only the typed class knows its older versions.
  expect(monitor.at('east/shop/networking.k8s.io-v1').aliases.length).toBeGreaterThan(0);
  expect(monitor.at('east/shop/networking.istio.io-v1').aliases).toEqual([]);
});
