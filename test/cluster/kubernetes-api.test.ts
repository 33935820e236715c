import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type KubernetesApi, openKubernetesApi, type RawObject } from '../../runtime/kubernetes/index.ts';

const namespace = `test-kubernetes-api-${process.pid}`;
const configMaps = { apiVersion: 'v1', kind: 'ConfigMap' };
let api: KubernetesApi;

const configMap = (name: string, data: Record<string, string>): RawObject => ({
  ...configMaps,
  metadata: { name, namespace },
  data,
});

beforeAll(async () => {
  api = openKubernetesApi();
  await api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
});

afterAll(async () => {
  await api.remove({ apiVersion: 'v1', kind: 'Namespace', name: namespace });
  api.close();
});

test('an object is made, read, replaced where nobody else did, applied, watched and removed', async () => {
  const made = await api.create(configMap('a', { one: '1' }));
  await expect(api.create(configMap('a', {}))).rejects.toMatchObject({ status: 409, reason: 'AlreadyExists' });
  const seen: unknown[] = [];
  const ending = new AbortController();
  const watch = api.watch(configMaps, {
    namespace,
    resourceVersion: made.metadata.resourceVersion!,
    signal: ending.signal,
    onEvent: (type, { metadata, data }) => {
      // Every namespace gets kube-root-ca.crt, a moment after it is made.
      if (metadata.name !== 'a') return;
      seen.push([type, data]);
      if (type === 'DELETED') ending.abort();
    },
  });
  const replaced = await api.replace({ ...made, data: { one: '2' } });
  await expect(api.replace({ ...made, data: {} })).rejects.toMatchObject({ status: 409, reason: 'Conflict' });
  const other = { ...configMap('a', { one: '3', two: '2' }) };
  await expect(api.apply(other, { fieldManager: 'test' })).rejects.toMatchObject({ status: 409 });
  const options = { fieldManager: 'test', force: true };
  expect(await api.apply(other, { ...options, dryRun: true })).toMatchObject({ data: { one: '3', two: '2' } });
  expect(await api.read({ ...configMaps, namespace, name: 'a' })).toStrictEqual(replaced);
  await api.apply(other, options);
  await api.remove({ ...configMaps, namespace, name: 'a' });
  await api.remove({ ...configMaps, namespace, name: 'a' });
  expect(await api.read({ ...configMaps, namespace, name: 'a' })).toBeUndefined();
  await watch;
  expect(seen).toStrictEqual([
    ['MODIFIED', { one: '2' }],
    ['MODIFIED', { one: '3', two: '2' }],
    ['DELETED', { one: '3', two: '2' }],
  ]);
});

test('a list comes in pages, and a watch goes on from its last one', async () => {
  for (const name of ['p1', 'p2', 'p3']) await api.create(configMap(name, {}));
  const names: string[] = [];
  let continueFrom: string | undefined;
  do {
    const page = await api.list(configMaps, { namespace, limit: 2, continueFrom });
    expect(page.items.length).toBeLessThanOrEqual(2);
    expect(page.items.every(({ kind }) => kind === 'ConfigMap')).toBe(true);
    names.push(...page.items.map(({ metadata }) => metadata.name));
    continueFrom = page.continueFrom;
  } while (continueFrom !== undefined);
  expect(names).toEqual(expect.arrayContaining(['p1', 'p2', 'p3']));
  const ending = new AbortController();
  setTimeout(() => ending.abort(), 300);
  const { resourceVersion } = await api.list(configMaps, { namespace });
  const added: string[] = [];
  await api.watch(configMaps, {
    namespace,
    resourceVersion,
    signal: ending.signal,
    onEvent: (type, { metadata }) => added.push(`${type} ${metadata.name}`),
  });
  expect(added).toStrictEqual([]);
});

test('kinds without namespace are found, kinds that are not there are not', async () => {
  expect(await api.read({ apiVersion: 'v1', kind: 'Namespace', name: namespace })).toMatchObject({ kind: 'Namespace' });
  await expect(api.list({ apiVersion: 'nothing.dev/v1', kind: 'Thing' })).rejects.toMatchObject({ status: 404 });
  await expect(api.list({ apiVersion: 'v1', kind: 'Thing' })).rejects.toMatchObject({ status: 404 });
});

test('the server ends a watch after its lifetime', async () => {
  const { resourceVersion } = await api.list(configMaps, { namespace });
  await api.watch(configMaps, {
    namespace,
    resourceVersion,
    signal: new AbortController().signal,
    lifetime: 1000,
    onEvent: () => {},
  });
});

test('a token that nobody issued speaks for nobody', async () => {
  expect(await api.reviewToken('nonsense', ['meshwright.dev'])).toMatchObject({ authenticated: false });
  expect(await api.version()).toMatch(/^v1\.\d+\./);
});
