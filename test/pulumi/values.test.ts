import { describe, expect, test } from '@jest/globals';
import type * as kubernetes from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { ApiObject } from 'cdk8s';
import {
  Access,
  AccessPolicy,
  App,
  Caller,
  Gateway,
  Header,
  Mesh,
  Path,
  Port,
  Route,
  Service,
  validate,
} from 'meshwright';
import { attribute, gatewayAddress, input, PulumiApp } from 'meshwright/pulumi';
import { runInProcess } from './in-process.ts';
import { clusterIP, ingressAddress, type Monitor, secret, unknown } from './monitor.ts';

const http = { http: Port.http(8080) };
const workload = { image: 'example/service:1' };
const shopMesh = () => new Mesh(new App(), 'shop', { trustDomain: 'shop.local' });

/** A value the next update will make known. */
function computed<T>(): pulumi.Output<T> {
  const { Output } = pulumi as unknown as { Output: new (...parts: unknown[]) => pulumi.Output<T> };
  const value = (of: unknown) => Promise.resolve(of);
  return new Output(new Set(), value(undefined), value(false), value(false), value(new Set()));
}

/** The places of a value in what was registered. */
function placesOf(monitor: Monitor, value: unknown): string[] {
  const wanted = JSON.stringify(value);
  function* find(inputs: unknown, path: string): Generator<string> {
    if (JSON.stringify(inputs) === wanted) yield path;
    else if (typeof inputs === 'object' && inputs !== null) {
      for (const [key, child] of Object.entries(inputs)) yield* find(child, `${path}.${key}`);
    }
  }
  return monitor.sorted.flatMap(({ name, inputs }) => [...find(inputs, name)]);
}

const container = 'spec.template.spec.containers.0';

describe('an Output in a tree', () => {
  test('is its value where it is known', async () => {
    const monitor = await runInProcess(() => {
      const tag = pulumi.output('1.4');
      const mesh = new Mesh(new App(), 'shop', { trustDomain: input(pulumi.output('shop.local')), namespace: 'store' });
      new Service(mesh, 'web', {
        ports: { http: Port.http(80, { containerPort: input(pulumi.output(8081)) }) },
        workload: { image: `example/web:${input(tag)}`, replicas: input(Promise.resolve(3)), env: { TAG: input(tag) } },
      });
      new PulumiApp('east', mesh);
    });
    const { spec } = monitor.at('east/shop/web/Workload/Deployment').inputs as { spec: unknown };
    expect(spec).toMatchObject({
      replicas: 3,
      template: {
        spec: {
          containers: [
            {
              image: 'example/web:1.4',
              env: [
                { name: 'PORT', value: '8081' },
                { name: 'TAG', value: '1.4' },
              ],
              ports: [{ containerPort: 8081 }],
            },
          ],
        },
      },
    });
    expect(monitor.at('east/shop/Resource').inputs.spec).toEqual({ mtls: 'Strict', trustDomain: 'shop.local' });
  });

  test('is unknown in a preview in exactly the places that depend on it', async () => {
    const monitor = await runInProcess(
      () => {
        const mesh = shopMesh();
        const image = `example/reviews:${input(computed<string>())}`;
        const reviews = new Service(mesh, 'reviews', {
          ports: http,
          workload: { image: 'example/reviews:1' },
          versions: { v1: {}, v2: { image } },
        });
        const percent = input(computed<number>());
        new Route(reviews, 'split', {
          parent: reviews,
          rules: [
            { match: [Header.is('x-tester', 'yes')], to: reviews.version('v2') },
            { to: reviews.split({ v1: 90, v2: percent }) },
          ],
        });
        new PulumiApp('east', mesh);
      },
      { preview: true },
    );
    expect(placesOf(monitor, unknown)).toEqual([
      'east/shop/reviews/split/Resource.spec.rules.1.backendRefs.1.weight',
      `east/shop/reviews/v2/Workload/Deployment.${container}.image`,
    ]);
  });

  test('stays a secret, there and nowhere else', async () => {
    const monitor = await runInProcess(() => {
      const mesh = shopMesh();
      const password = input(pulumi.secret('s3cret'));
      const env = { PASSWORD: password, URL: `redis://:${password}@store`, PLAIN: 'open' };
      new Service(mesh, 'web', { ports: http, workload: { ...workload, env } });
      new PulumiApp('east', mesh);
    });
    const place = `east/shop/web/Workload/Deployment.${container}.env`;
    expect(placesOf(monitor, secret('s3cret'))).toEqual([`${place}.1.value`]);
    expect(placesOf(monitor, secret('redis://:s3cret@store'))).toEqual([`${place}.2.value`]);
    expect(JSON.stringify(monitor.registrations).match(/s3cret/g)).toHaveLength(2);
  });

  test('can be a namespace, a path, a header and a caller', async () => {
    const monitor = await runInProcess(() => {
      const namespace = input(pulumi.output('store'));
      const mesh = new Mesh(new App(), 'shop', { trustDomain: 'shop.local', namespace });
      const ratings = new Service(mesh, 'ratings', { ports: http, workload });
      const web = new Service(mesh, 'web', { ports: http, workload, calls: [ratings] });
      const to = [{ paths: [Path.prefix(input(pulumi.output('/private')))] }];
      new AccessPolicy(ratings, 'access', {
        target: ratings,
        rules: [Access.allow({ from: [web] }), Access.deny({ from: [Caller.namespace(namespace)], to })],
      });
      new PulumiApp('east', mesh);
    });
    const { inputs } = monitor.at('east/shop/ratings/access/Resource');
    expect(inputs).toMatchObject({
      metadata: { namespace: 'store' },
      spec: {
        rules: [
          { from: [{ serviceAccount: { namespace: 'store', name: 'web' } }] },
          { from: [{ namespace: 'store' }], to: [{ paths: [{ value: '/private' }] }] },
        ],
      },
    });
    expect(monitor.at('east/shop/web/Workload/Deployment').inputs).toMatchObject({
      spec: { template: { metadata: { annotations: { 'meshwright.dev/calls': 'store/ratings' } } } },
    });
  });

  test('makes who uses it depend on what it came from', async () => {
    const monitor = await runInProcess(() => {
      const mesh = shopMesh();
      const store = new Service(mesh, 'store', { ports: { store: Port.tcp(6379) }, workload });
      const ip = attribute(ApiObject.of(store), ({ spec }: kubernetes.core.v1.Service) => spec.clusterIP);
      new Service(mesh, 'cart', { ports: http, workload: { ...workload, env: { STORE: `redis://${input(ip)}` } } });
      new PulumiApp('east', mesh);
    });
    const { inputs, propertyDependencies } = monitor.at('east/shop/cart/Workload/Deployment');
    expect(JSON.stringify(inputs)).toContain(`redis://${clusterIP}`);
    expect(propertyDependencies.spec).toContain(monitor.at('east/shop/store/Resource').urn);
  });

  test('cannot be written by cdk8s: a finding names each place', () => {
    const mesh = shopMesh();
    const image = `example/web:${input(pulumi.output('1.4'))}`;
    new Service(mesh, 'web', { ports: http, workload: { image } });
    const messages = validate(mesh).map(({ id, construct, message }) => `${id} ${construct}: ${message}`);
    expect(messages).toEqual([
      'MW1144 shop/web/Workload/Deployment: spec.template.spec.containers[0].image is an Output of Pulumi, which cdk8s cannot write',
    ]);
    expect(() => App.of(mesh).synthYaml()).toThrow('MW1144 shop/web/Workload/Deployment');
    expect(() => App.of(mesh).synth()).toThrow('MW1144 shop/web/Workload/Deployment');
  });
});

describe('an attribute', () => {
  function program(): Record<string, unknown> {
    const mesh = shopMesh();
    const web = new Service(mesh, 'web', { ports: http, workload });
    const gateway = new Gateway(mesh, 'door', { listeners: { http: { port: 80 } } });
    new Route(gateway, 'all', { parent: gateway, rules: [{ to: web }] });
    const before = attribute(ApiObject.of(web), ({ spec }: kubernetes.core.v1.Service) => spec.clusterIP);
    new PulumiApp('east', mesh);
    return { before, address: gatewayAddress(gateway) };
  }

  test('is what the cluster says', async () => {
    const { stackOutputs } = await runInProcess(program);
    expect(stackOutputs).toEqual({ before: clusterIP, address: ingressAddress });
  });

  test('is unknown before the object exists, whatever a dry run invents', async () => {
    const { stackOutputs } = await runInProcess(program, { preview: true });
    expect(stackOutputs).toEqual({ before: unknown, address: unknown });
  });
});
