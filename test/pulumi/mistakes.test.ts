import { describe, expect, test } from '@jest/globals';
import type * as kubernetes from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { ApiObject, Lazy } from 'cdk8s';
import { App, Duration, Mesh, Port, Route, Service, validate } from 'meshwright';
import { attribute, input, PulumiApp } from 'meshwright/pulumi';
import { runInProcess } from './in-process.ts';

const http = { http: Port.http(8080) };
const workload = { image: 'example/service:1' };
const clusterIP = ({ spec }: kubernetes.core.v1.Service) => spec.clusterIP;
const late = () => input(pulumi.output('late'));

function twoServices() {
  const mesh = new Mesh(new App(), 'shop', { trustDomain: 'shop.local' });
  const web = new Service(mesh, 'web', { ports: http, workload });
  const cart = new Service(mesh, 'cart', { ports: http, workload });
  return { mesh, web, cart };
}

describe('an Output is refused', () => {
  test.each<[string, (mesh: Mesh, web: Service<typeof http>) => unknown, string]>([
    [
      'as the id of a service',
      (mesh) => new Service(mesh, late(), { ports: http, workload }),
      /* Its id is its name. */ ': its id is an Output, which is not known while the tree is built',
    ],
    [
      'as the name of a port',
      (mesh) => new Service(mesh, 'api', { ports: { [late()]: Port.http(80) }, workload }),
      'shop/api: the name of a port is an Output',
    ],
    [
      'as the name of a version',
      (mesh) => new Service(mesh, 'api', { ports: http, workload, versions: { [late()]: {} } }),
      ': its id is an Output',
    ],
    [
      'as the name of a variable',
      (mesh) => new Service(mesh, 'api', { ports: http, workload: { ...workload, env: { [late()]: 'a' } } }),
      'shop/api/Workload: the name of an environment variable is an Output',
    ],
    [
      'as the key of a label',
      (_, web) => ApiObject.of(web).metadata.addLabel(late(), 'a'),
      'shop/web/Resource: a key of metadata.labels is an Output',
    ],
    [
      'in a duration',
      (_, web) => {
        const timeout = Duration.seconds(input(pulumi.output(3)));
        new Route(web, 'all', { parent: web, rules: [{ to: web, timeout }] });
      },
      'shop/web/all: rule-0: timeout is an Output',
    ],
  ])('%s', (_, spoil, message) => {
    const { mesh, web } = twoServices();
    spoil(mesh, web);
    expect(() => new PulumiApp('east', mesh)).toThrow(message);
  });
});

describe('an Output that was put into an object as it is', () => {
  function settings(data: Record<string, unknown>): Mesh {
    const mesh = new Mesh(new App(), 'shop', { trustDomain: 'shop.local' });
    new ApiObject(mesh, 'settings', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data });
    return mesh;
  }
  const found = (mesh: Mesh) => validate(mesh).map(({ id, construct, message }) => `${id} ${construct}: ${message}`);

  test.each([
    ['alone', { host: pulumi.output('db') }, 'data.host'],
    ['in a list', { hosts: ['a', { name: pulumi.output('db') }] }, 'data.hosts[1].name'],
    ['in a text', { url: `redis://${pulumi.output('db')}` }, 'data.url'],
    ['in JSON', { json: JSON.stringify({ host: pulumi.output('db') }) }, 'data.json'],
  ])('%s cannot be written by cdk8s: a finding names the place', (_, data, place) => {
    expect(found(settings(data))).toEqual([
      `MW1144 shop/settings: ${place} is an Output of Pulumi, which cdk8s cannot write`,
    ]);
    expect(() => App.of(settings(data)).synthYaml()).toThrow(`MW1144 shop/settings: ${place} is an Output`);
  });

  test('cannot be deployed by Pulumi either: the finding says how to give it', () => {
    const mesh = settings({ host: pulumi.output('db') });
    expect(() => new PulumiApp('east', mesh)).toThrow(
      'MW1148 shop/settings: data.host is an Output that cdk8s cannot render\n    fix: write input(output)',
    );
  });

  test('is not seen in values that are made when the object is written, nor where nothing is', () => {
    const mesh = settings({ late: Lazy.any({ produce: () => 'now' }), none: undefined, nothing: null });
    expect(found(mesh)).toEqual([]);
  });
});

describe('objects that wait for each other are refused', () => {
  test('where dependencies say so', () => {
    const { mesh, web, cart } = twoServices();
    ApiObject.of(web).addDependency(ApiObject.of(cart));
    ApiObject.of(cart).addDependency(ApiObject.of(web));
    expect(() => new PulumiApp('east', mesh)).toThrow(
      'MW1146 shop/web/Resource: these wait for each other: shop/web/Resource -> shop/cart/Resource -> shop/web/Resource',
    );
  });

  test('where attributes say so', () => {
    const { mesh, web, cart } = twoServices();
    ApiObject.of(web).metadata.addAnnotation('other', input(attribute(ApiObject.of(cart), clusterIP)));
    ApiObject.of(cart).metadata.addAnnotation('other', `http://${input(attribute(ApiObject.of(web), clusterIP))}`);
    expect(() => new PulumiApp('east', mesh)).toThrow('MW1146 shop/web/Resource: these wait for each other');
  });
});

test('two constructs that make one object are refused', () => {
  const app = new App();
  for (const id of ['shop', 'store']) {
    const mesh = new Mesh(app, id, { trustDomain: 'shop.local', namespace: 'shop' });
    new Service(mesh, 'web', { ports: http, workload });
  }
  expect(() => new PulumiApp('east', app)).toThrow('MW1133 store/web: Service shop/web is already made by shop/web');
});

test('a tree is deployed once, as an object has one resource to take attributes from', async () => {
  const { mesh } = twoServices();
  const { objects } = await runInProcess(() => {
    new PulumiApp('east', mesh);
    expect(() => new PulumiApp('west', mesh)).toThrow(
      'PulumiApp west: its tree is deployed by PulumiApp east already; make a tree for each',
    );
  });
  expect(objects).toHaveLength(7);
});
