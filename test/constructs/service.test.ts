import { describe, expect, test } from '@jest/globals';
import { Chart } from 'cdk8s';
import { App, Port, Route, Service, validate } from 'meshwright';
import { emptyMesh, http, objectsOf, smallMesh, workload } from './given.ts';

describe('a service', () => {
  test('is a Deployment with an identity of its own behind a Kubernetes Service', () => {
    const mesh = emptyMesh();
    new Service(mesh, 'ratings', {
      ports: http,
      workload: { image: 'ratings:1', command: ['node', 'main.ts'], replicas: 3, env: { STARS: '5' } },
    });

    const { ratings } = objectsOf(mesh, 'Deployment');
    expect(ratings.spec).toMatchObject({
      replicas: 3,
      template: {
        spec: {
          serviceAccountName: 'ratings',
          containers: [
            {
              image: 'ratings:1',
              command: ['node', 'main.ts'],
              env: [
                { name: 'PORT', value: '8080' },
                { name: 'STARS', value: '5' },
              ],
              ports: [{ name: 'http', containerPort: 8080 }],
            },
          ],
        },
      },
    });
    expect(ratings.spec.template.metadata?.labels).toEqual({
      'app.kubernetes.io/managed-by': 'meshwright',
      'app.kubernetes.io/name': 'ratings',
      'app.kubernetes.io/part-of': 'shop',
      'meshwright.dev/inject': 'enabled',
      'meshwright.dev/workload': 'ratings',
    });
    expect(objectsOf(mesh, 'Service').ratings.spec).toEqual({
      selector: { 'app.kubernetes.io/name': 'ratings' },
      ports: [{ name: 'http', port: 8080, targetPort: 8080, appProtocol: 'http' }],
    });
    expect(Object.keys(objectsOf(mesh, 'ServiceAccount'))).toEqual(['ratings']);
  });

  test('with versions has a Deployment, Service and identity for each', () => {
    const { mesh } = smallMesh();
    expect(Object.keys(objectsOf(mesh, 'Deployment'))).toEqual(['reviews-v1', 'reviews-v2', 'web']);
    expect(Object.keys(objectsOf(mesh, 'Service'))).toEqual(['reviews', 'reviews-v1', 'reviews-v2', 'web']);
    expect(Object.keys(objectsOf(mesh, 'ServiceAccount'))).toEqual(['reviews-v1', 'reviews-v2', 'web']);
    expect(objectsOf(mesh, 'Service')['reviews-v2'].spec.selector).toEqual({
      'app.kubernetes.io/name': 'reviews',
      'app.kubernetes.io/version': 'v2',
    });
  });

  test('gives its versions what they have in common, and each its own', () => {
    const mesh = emptyMesh();
    new Service(mesh, 'reviews', {
      ports: http,
      workload: { image: 'reviews:1', replicas: 2, env: { A: '1', B: '1' } },
      versions: { v1: {}, v2: { image: 'reviews:2', env: { B: '2' } } },
    });
    const [v1, v2] = Object.values(objectsOf(mesh, 'Deployment')).map(({ spec }) => ({
      replicas: spec.replicas,
      image: spec.template.spec.containers[0].image,
      env: spec.template.spec.containers[0].env?.slice(1),
    }));
    expect(v1).toEqual({
      replicas: 2,
      image: 'reviews:1',
      env: [
        { name: 'A', value: '1' },
        { name: 'B', value: '1' },
      ],
    });
    expect(v2).toEqual({
      replicas: 2,
      image: 'reviews:2',
      env: [
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ],
    });
  });

  test('tells the program its ports, and Kubernetes their protocols', () => {
    const mesh = emptyMesh();
    const ports = {
      web: Port.http(80, { containerPort: 8080 }),
      'grpc-api': Port.grpc(7000),
      h2: Port.http2(8443),
      db: Port.tcp(5432),
    };
    new Service(mesh, 'all', { ports, workload });

    const [container] = objectsOf(mesh, 'Deployment').all.spec.template.spec.containers;
    expect(container.env).toEqual([
      { name: 'PORT', value: '8080' },
      { name: 'PORT_GRPC_API', value: '7000' },
      { name: 'PORT_H2', value: '8443' },
      { name: 'PORT_DB', value: '5432' },
    ]);
    expect(objectsOf(mesh, 'Service').all.spec.ports?.map(({ appProtocol }) => appProtocol)).toEqual([
      'http',
      'grpc',
      'kubernetes.io/h2c',
      'tcp',
    ]);
  });

  test('may call one that calls it', () => {
    const mesh = emptyMesh();
    const ping = new Service(mesh, 'ping', { ports: http, workload });
    const pong = new Service(mesh, 'pong', { ports: http, workload, calls: [ping] });
    ping.calls(pong);

    expect(validate(mesh)).toEqual([]);
    const calls = Object.values(objectsOf(mesh, 'Deployment')).map(
      ({ spec }) => spec.template.metadata?.annotations?.['meshwright.dev/calls'],
    );
    expect(calls).toEqual(['shop/pong', 'shop/ping']);
  });

  test('that calls nothing says so', () => {
    const mesh = emptyMesh();
    new Service(mesh, 'quiet', { ports: http, workload });
    expect(objectsOf(mesh, 'Deployment').quiet.spec.template.metadata?.annotations).toEqual({
      'meshwright.dev/calls': '',
    });
  });

  test('refuses a version or port that is not there also where the compiler was not asked', () => {
    const { reviews } = smallMesh();
    expect(() => reviews.version('v3' as never)).toThrow('service reviews has no version v3, only v1, v2');
    expect(() => reviews.port('grpc' as never)).toThrow('service reviews has no port grpc, only http');
  });

  test('needs a namespace to be in', () => {
    const chart = new Chart(new App(), 'plain');
    expect(() => new Service(chart, 'reviews', { ports: http, workload })).toThrow(
      'plain must be inside of a Mesh or of a Chart with a namespace',
    );
  });
});

describe('a service that exists already', () => {
  test('is used like one of ours, and makes nothing', () => {
    const { mesh, web } = smallMesh();
    const legacy = Service.fromName(mesh, 'legacy', {
      name: 'old-reviews',
      ports: { http: Port.http(80) },
      versions: ['blue', 'green'],
    });
    web.calls(legacy);
    new Route(mesh, 'route', { parent: legacy, rules: [{ to: legacy.split({ blue: 1, green: 3 }) }] });

    expect(validate(mesh)).toEqual([]);
    expect(objectsOf(mesh, 'Service')).not.toHaveProperty('old-reviews');
    expect(objectsOf(mesh, 'HTTPRoute').route.spec).toEqual({
      parentRefs: [{ group: '', kind: 'Service', name: 'old-reviews', port: 80 }],
      rules: [
        {
          backendRefs: [
            { name: 'old-reviews-blue', port: 80, weight: 1 },
            { name: 'old-reviews-green', port: 80, weight: 3 },
          ],
        },
      ],
    });
  });

  test('gets Kubernetes Services where only its pods exist', () => {
    const mesh = emptyMesh();
    Service.fromSelector(mesh, 'legacy', {
      ports: http,
      selector: { app: 'old' },
      versions: { v1: { track: 'stable' } },
    });

    expect(validate(mesh)).toEqual([]);
    const services = objectsOf(mesh, 'Service');
    expect(services.legacy.spec.selector).toEqual({ app: 'old' });
    expect(services['legacy-v1'].spec.selector).toEqual({ app: 'old', track: 'stable' });
    expect(objectsOf(mesh, 'Deployment')).toEqual({});
  });
});
