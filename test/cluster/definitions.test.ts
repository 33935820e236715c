import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { App } from 'cdk8s';
import { parseAllDocuments } from 'yaml';
import { shop } from '../../examples/shop/main.ts';
import { ApiError, type KubernetesApi, openKubernetesApi, type RawObject } from '../../runtime/kubernetes/index.ts';
import { customResourceDefinitions } from '../../runtime/resources/index.ts';
import { refusedObject, refusedObjects } from '../resources/refused-objects.ts';
import { apply, eventually, kubectl } from './kubectl.ts';

/*
 * The kinds of meshwright.dev, given to a real API server.
 */

const namespace = `test-definitions-${process.pid}`;
const fieldManager = 'meshwright-test';
let api: KubernetesApi;

const policy = (name: string): RawObject => ({
  apiVersion: 'meshwright.dev/v1alpha1',
  kind: 'AccessPolicy',
  metadata: { name, namespace },
  spec: { targetRefs: [{ group: '', kind: 'Service', name: 'cart' }], rules: [] },
});

beforeAll(async () => {
  api = openKubernetesApi();
  await api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await apply(
    customResourceDefinitions()
      .map((definition) => JSON.stringify(definition))
      .join('\n---\n'),
  );
  await kubectl([
    'wait',
    '--for=condition=Established',
    'crd/meshes.meshwright.dev',
    'crd/faultpolicies.meshwright.dev',
    'crd/circuitbreakerpolicies.meshwright.dev',
    'crd/outlierdetectionpolicies.meshwright.dev',
    'crd/timeoutpolicies.meshwright.dev',
  ]);
});

afterAll(async () => {
  await api.remove({ apiVersion: 'v1', kind: 'Namespace', name: namespace });
  api.close();
});

test('take what constructs write', async () => {
  const documents = parseAllDocuments(App.of(shop).synthYaml()).map((document) => document.toJS() as RawObject);
  const own = documents.filter(({ apiVersion }) => apiVersion.startsWith('meshwright.dev/'));
  expect(new Set(own.map(({ kind }) => kind)).size).toBeGreaterThan(3);
  const manifests = own.map((object) => JSON.stringify({ ...object, metadata: { ...object.metadata, namespace } }));
  await apply(manifests.join('\n---\n'), '--dry-run=server', '--validate=strict');
});

test.each(refusedObjects.map((refused, index) => ({ ...refused, index })))(
  'refuse, and say so: $kind $place $says',
  async (refused) => {
    const object = refusedObject(refused, refused.index);
    const answer = api.apply(
      { ...object, metadata: { ...object.metadata, namespace } },
      { fieldManager, dryRun: true },
    );
    await expect(answer).rejects.toThrow(ApiError);
    await expect(answer).rejects.toThrow(refused.says);
    await expect(answer).rejects.toThrow(refused.place);
  },
);

test('refuse another trust domain for a Mesh that is there', async () => {
  const mesh = (trustDomain: string): RawObject => ({
    apiVersion: 'meshwright.dev/v1alpha1',
    kind: 'Mesh',
    metadata: { name: 'kept', namespace },
    spec: { trustDomain },
  });
  await api.create(mesh('one.local'));
  const change = api.apply(mesh('other.local'), { fieldManager, force: true });
  await expect(change).rejects.toThrow('spec.trustDomain: Invalid value');
  await expect(change).rejects.toThrow('cannot be changed, as every certificate holds it');
  await api.remove({ apiVersion: 'meshwright.dev/v1alpha1', kind: 'Mesh', namespace, name: 'kept' });
});

describe('the status', () => {
  // What the controller of the cluster says of it too.
  const message = `Service ${namespace}/cart is not there`;
  const conditions = [
    {
      type: 'Accepted',
      status: 'False',
      reason: 'TargetNotFound',
      message,
      observedGeneration: 1,
      lastTransitionTime: '2026-01-01T00:00:00Z',
    },
  ];

  test('is written on its own, and changes no spec', async () => {
    const made = await api.create({ ...policy('judged'), status: { conditions } });
    expect(made.status).toBeUndefined();
    const judged = await api.replace({ ...made, spec: {}, status: { conditions } }, 'status');
    expect(judged).toMatchObject({ spec: made.spec, status: { conditions }, metadata: { generation: 1 } });
  });

  test('is what kubectl shows', async () => {
    const shown = await eventually('columns', async () => {
      const text = await kubectl(['-n', namespace, 'get', 'ap', 'judged', '-o', 'wide']);
      return text.includes('False') && text;
    });
    expect(
      shown
        .split('\n')
        .slice(0, 2)
        .map((line) => line.split(/ {2,}/).slice(0, 5)),
    ).toEqual([
      ['NAME', 'TARGET', 'ACCEPTED', 'REASON', 'MESSAGE'],
      ['judged', 'cart', 'False', 'TargetNotFound', message],
    ]);
  });
});

test('are found by their categories and explained field by field', async () => {
  await api.create(policy('found'));
  expect(await kubectl(['-n', namespace, 'get', 'meshwright-policy', '-o', 'name'])).toContain(
    'accesspolicy.meshwright.dev/found',
  );
  expect(await kubectl(['explain', 'loadbalancingpolicy.spec.panicThreshold'])).toContain(
    'Percent: with a smaller part',
  );
});
