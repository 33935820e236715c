import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { AuthorityKeeper } from '../../runtime/controller/authority/authority-keeper.ts';
import { SecretAuthorityStore } from '../../runtime/controller/authority/secret-authority-store.ts';
import { type KubernetesApi, openKubernetesApi } from '../../runtime/kubernetes/index.ts';
import { ownAuthority } from '../identity/openssl-authority.ts';
import { credentialsOf, meet } from '../identity/tls-pair.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { ApiServer } from './api-server.ts';

/*
 * The authority in a Secret of a real API server: what it does where several write at once.
 */

const trustDomain = 'shop.local';
const front = { trustDomain, namespace: 'shop', serviceAccount: 'front' };
const silent = { info: () => {}, warn: () => {} };
const hour = 3_600_000;
let server: ApiServer;
let kubeconfig: string;
let namespace: string;
const apis: KubernetesApi[] = [];

/** A client of its own, as each controller has. */
function newApi(): KubernetesApi {
  const api = openKubernetesApi({ kubeconfig });
  apis.push(api);
  return api;
}
const newStore = () => new SecretAuthorityStore({ api: newApi(), namespace });
const newKeeper = (clock = new ManualClock()) =>
  AuthorityKeeper.open({ store: newStore(), trustDomain, clock, logger: silent });
const secret = () => apis[0].read({ apiVersion: 'v1', kind: 'Secret', namespace, name: 'meshwright-ca' });

beforeAll(async () => {
  server = await ApiServer.start();
  kubeconfig = server.kubeconfig();
}, 120_000);

beforeEach(async () => {
  namespace = `identity-${randomUUID()}`;
  await newApi().create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
});

afterAll(async () => {
  for (const api of apis) api.close();
  await server?.[Symbol.asyncDispose]();
}, 60_000);

describe('an authority in a Secret of a real API server', () => {
  test('is one, however many controllers start at once', async () => {
    const keepers = await Promise.all(Array.from({ length: 5 }, () => newKeeper()));
    expect(new Set(keepers.map(({ bundlePem }) => bundlePem)).size).toBe(1);
    expect(await secret()).toMatchObject({
      type: 'kubernetes.io/tls',
      metadata: { labels: { 'app.kubernetes.io/managed-by': 'meshwright' } },
    });
    const [one, other] = await Promise.all(keepers.slice(3).map((keeper) => credentialsOf(keeper, front)));
    expect(await meet(one, other, trustDomain)).toContain('sa/front');
  });

  test('is changed once a step, though all believe that they lead', async () => {
    const clock = new ManualClock();
    const keepers = await Promise.all([newKeeper(clock), newKeeper(clock), newKeeper(clock)]);
    expect(await newStore().requestRotation(clock.wallTime())).toBe(true);
    const seen = new Set([keepers[0].bundlePem]);
    for (const [phase, roots] of [
      ['announced', 2],
      ['retiring', 2],
      ['steady', 1],
    ] as const) {
      await Promise.all(keepers.map((keeper) => keeper.reload()));
      await Promise.all(keepers.map((keeper) => keeper.advance()));
      await Promise.all(keepers.map((keeper) => keeper.reload()));
      const [first, ...others] = keepers.map((keeper) => keeper.describe());
      expect(first).toMatchObject({ phase, managed: true });
      expect(first.roots).toHaveLength(roots);
      for (const other of others) expect(other).toEqual(first);
      seen.add(keepers[0].bundlePem);
      clock.advance(26 * hour);
    }
    // The old one, both, the new one.
    expect(seen.size).toBe(3);
    expect((await secret())?.metadata.annotations).toBeUndefined();
  });

  test('of the user works with the layout of cert-manager, is taken up when renewed, and is left alone', async () => {
    const root = ownAuthority({ subject: '/CN=Corp root' });
    const data = (days: number) => {
      const mesh = ownAuthority({ subject: `/CN=Mesh ${days}`, issuer: root, days });
      const texts = { 'tls.crt': mesh.certificatePem, 'tls.key': mesh.keyPem, 'ca.crt': root.certificatePem };
      return Object.fromEntries(
        Object.entries(texts).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
      );
    };
    const object = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'meshwright-ca', namespace } };
    const type = 'kubernetes.io/tls';
    await newApi().create({ ...object, type, data: data(90) });
    const clock = new ManualClock();
    const [keeper, other] = await Promise.all([newKeeper(clock), newKeeper(clock)]);
    const before = await credentialsOf(keeper, front);
    expect(keeper.describe()).toMatchObject({ managed: false, issuer: { subject: 'CN=Mesh 90' } });

    const renewed = await newApi().apply({ ...object, type, data: data(80) }, { fieldManager: 'test', force: true });
    clock.advance(11 * 365 * 24 * hour);
    for (const one of [keeper, other]) {
      await one.reload();
      await one.advance();
      expect(one.describe().issuer.subject).toBe('CN=Mesh 80');
    }
    expect((await secret())?.metadata.resourceVersion).toBe(renewed.metadata.resourceVersion);
    const after = await credentialsOf(await newKeeper(), front);
    expect(await meet(before, after, trustDomain)).toContain('sa/front');
  });
});
