import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it, test } from '@jest/globals';
import type { Notice } from '../../runtime/controller/webhook/events.ts';
import { createEventRecorder } from '../../runtime/controller/webhook/events.ts';
import { ServingCertificateRenewal } from '../../runtime/controller/webhook/serving-certificate.ts';
import type { RawObject } from '../../runtime/kubernetes/index.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { silent, WebhookServer } from './webhook-server.ts';

interface Response {
  readonly uid: string;
  readonly allowed: boolean;
  readonly status?: { readonly code: number; readonly message: string };
  readonly warnings?: readonly string[];
  readonly patch?: readonly { readonly op: string; readonly path: string; readonly value: unknown }[];
}

const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'reviews-1', uid: 'u-1', controller: true };
const plain = {
  metadata: { generateName: 'reviews-1-', ownerReferences: [owner] },
  spec: { containers: [{ name: 'app' }] },
};
const onHost = { ...plain, spec: { ...plain.spec, hostNetwork: true } };
const wrong = {
  ...plain,
  metadata: { ...plain.metadata, annotations: { 'meshwright.dev/skip-outbound-ports': 'all' } },
};

async function review(
  server: WebhookServer,
  pod: unknown,
  fields: object = {},
  path = '/inject/namespace',
): Promise<Response> {
  const request = {
    uid: 'r-1',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    operation: 'CREATE',
    namespace: 'shop',
    object: pod,
    ...fields,
  };
  const body = JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request });
  const reply = await server.send('POST', path, body);
  if (reply.status !== 200) throw new Error(`${reply.status} ${reply.body}`);
  const { response } = JSON.parse(reply.body);
  return {
    ...response,
    ...(response.patch && { patch: JSON.parse(Buffer.from(response.patch, 'base64').toString()) }),
  };
}

describe('a pod that the API server asks about', () => {
  it('gets a proxy by a patch that touches only what changes', async () => {
    await using server = await WebhookServer.start();
    const { uid, allowed, patch = [] } = await review(server, { ...plain, spec: { ...plain.spec, volumes: [] } });
    expect({ uid, allowed }).toEqual({ uid: 'r-1', allowed: true });
    expect(patch.map(({ op, path }) => `${op} ${path}`)).toEqual([
      'add /metadata/labels',
      'add /spec/volumes',
      'add /spec/initContainers',
    ]);
    expect(patch[0].value).toEqual({ 'meshwright.dev/proxy': 'sidecar', 'meshwright.dev/workload': 'reviews-1' });
    expect(server.notices).toEqual([]);
  });

  it('is let through as it is where it says no, and where it is sent for a label it does not have', async () => {
    await using server = await WebhookServer.start();
    const outside = { ...plain, metadata: { labels: { 'meshwright.dev/inject': 'disabled' } } };
    expect(await review(server, outside)).toEqual({ uid: 'r-1', allowed: true });
    expect(await review(server, plain, {}, '/inject/pod')).toEqual({ uid: 'r-1', allowed: true });
    expect(await review(server, plain, { namespace: 'kube-system' })).toEqual({ uid: 'r-1', allowed: true });
    expect(server.notices).toEqual([]);
  });

  it('is let through, with a warning and an event, where there can be no proxy', async () => {
    await using server = await WebhookServer.start();
    const { allowed, patch, warnings } = await review(server, onHost);
    expect({ allowed, patch }).toEqual({ allowed: true, patch: undefined });
    expect(warnings).toEqual([expect.stringMatching(/^MW1901 the pod gets no proxy: it uses the network of its node/)]);
    expect(warnings?.[0].length).toBeLessThan(256);
    const { controller: _, ...regarding } = owner;
    expect(server.notices).toMatchObject([
      { namespace: 'shop', reason: 'InjectionSkipped', regarding: { ...regarding, namespace: 'shop' } },
    ]);
  });

  it('is refused, with the reason and an event, where it was to get a proxy and what it says about it is wrong', async () => {
    await using server = await WebhookServer.start();
    const { allowed, status } = await review(server, wrong);
    expect(allowed).toBe(false);
    expect(status).toEqual({
      code: 422,
      reason: 'Invalid',
      message: expect.stringContaining('MW1904 meshwright.dev/skip-outbound-ports is "all"'),
    });
    expect(server.notices).toMatchObject([{ reason: 'InjectionRefused', note: status?.message }]);
  });

  it('leaves no event in a dry run', async () => {
    await using server = await WebhookServer.start();
    expect((await review(server, wrong, { dryRun: true })).allowed).toBe(false);
    expect(server.notices).toEqual([]);
  });

  it('is spoken of by its name, or by its namespace, where nobody owns it', async () => {
    await using server = await WebhookServer.start();
    await review(server, { ...onHost, metadata: { name: 'alone' } });
    await review(server, { ...onHost, metadata: { generateName: 'alone-' } });
    expect(server.notices.map(({ regarding }) => `${regarding.kind} ${regarding.namespace}/${regarding.name}`)).toEqual(
      ['Pod shop/alone', 'Namespace shop/shop'],
    );
  });

  it('is none of ours where it is no new pod', async () => {
    await using server = await WebhookServer.start();
    const untouched = { uid: 'r-1', allowed: true };
    expect(await review(server, wrong, { operation: 'UPDATE' })).toEqual(untouched);
    expect(await review(server, wrong, { kind: { group: 'apps', version: 'v1', kind: 'Deployment' } })).toEqual(
      untouched,
    );
    expect(await review(server, null)).toEqual(untouched);
  });
});

describe('the server of the webhook', () => {
  it('tells whether the controller is ready', async () => {
    await using server = await WebhookServer.start();
    expect(await server.send('GET', '/live')).toMatchObject({ status: 200 });
    expect(await server.send('GET', '/ready')).toMatchObject({ status: 200, body: '{"ready":true}\n' });
    server.notReady = 'no configuration yet';
    expect(await server.send('GET', '/ready')).toMatchObject({
      status: 503,
      body: expect.stringContaining('no config'),
    });
  });

  it.each([
    ['POST', '/inject/pod', 'no JSON', 400],
    ['POST', '/inject/pod', '{"apiVersion":"admission.k8s.io/v1beta1"}', 400],
    ['POST', '/inject/pod', '[]', 400],
    ['GET', '/inject/pod', undefined, 405],
    ['POST', '/inject', '{}', 404],
    ['POST', '/ready', '{}', 404],
  ])('answers %s %s with %p as a mistake', async (method, path, body, status) => {
    await using server = await WebhookServer.start();
    expect(await server.send(method, path, body)).toMatchObject({ status });
  });

  it('reads no more than four megabytes', async () => {
    await using server = await WebhookServer.start();
    expect(await server.send('POST', '/inject/pod', ' '.repeat(4 * 2 ** 20 + 1))).toMatchObject({ status: 413 });
    expect(await server.send('POST', '/inject/pod', ' '.repeat(4 * 2 ** 20))).toMatchObject({ status: 400 });
  });

  it('holds no more than sixty-four megabytes of what is being sent', async () => {
    await using server = await WebhookServer.start();
    const size = 4 * 2 ** 20;
    const unfinished = Array.from({ length: 16 }, () => server.begin('/inject/pod', size, Buffer.alloc(size - 1, ' ')));
    const small = () => server.send('POST', '/inject/pod', ' '.repeat(20)).then(({ status }) => status);
    await eventually(async () => (await small()) === 503);
    for (const each of unfinished) each.destroy();
    await eventually(async () => (await small()) === 400);
  });

  it('survives connections that speak no TLS, and such as break off', async () => {
    await using server = await WebhookServer.start();
    const rude = connect(server.port, '127.0.0.1', () => rude.end('GET / HTTP/1.1\r\n\r\n'));
    rude.on('error', () => {}).resume();
    await once(rude, 'close');
    const half = server.send('POST', '/inject/pod', undefined, { headers: { 'content-length': 100 } });
    half.catch(() => {});
    server.webhook.server.once('request', (request) => request.socket.destroy());
    await expect(half).rejects.toThrow();
    expect((await review(server, plain)).allowed).toBe(true);
  });

  it('takes up a new certificate without being started anew', async () => {
    await using server = await WebhookServer.start();
    const { serial } = await server.send('GET', '/live');
    expect((await server.send('GET', '/live')).serial).toBe(serial);
    await server.renewal.renew();
    expect((await server.send('GET', '/live')).serial).not.toBe(serial);
  });

  it('is known by its names only', async () => {
    await using server = await WebhookServer.start();
    await expect(server.send('GET', '/live', undefined, { servername: 'other.test' })).rejects.toThrow(/altnames/);
  });
});

describe('a serving certificate', () => {
  it('is renewed at half of its life, and tried again soon where that fails', async () => {
    await using server = await WebhookServer.start();
    const clock = new ManualClock();
    const chains: string[] = [];
    let broken = false;
    const renewal = new ServingCertificateRenewal({
      authority: () => {
        if (broken) throw new Error('the authority is away');
        return server.authority;
      },
      dnsNames: ['webhook.test'],
      onChange: ({ chainPem }) => chains.push(chainPem),
      clock,
      random: () => 0.5,
      logger: silent,
    });
    const settled = () => new Promise((resolve) => setImmediate(resolve));
    const pass = async (milliseconds: number, certificates: number) => {
      const asked = clock.scheduled;
      clock.advance(milliseconds);
      while (clock.scheduled === asked && chains.length < certificates) await settled();
      return chains.length;
    };
    await renewal.renew();
    expect(chains).toHaveLength(1);
    const hour = 3_600_000;
    clock.advance(11 * hour);
    await settled();
    expect(chains).toHaveLength(1);
    broken = true;
    expect(await pass(hour + 60_000, 2)).toBe(1);
    broken = false;
    expect(await pass(1000, 2)).toBe(2);
    renewal.close();
  });
});

describe('events', () => {
  const notice: Notice = {
    namespace: 'shop',
    regarding: { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'p' },
    reason: 'InjectionRefused',
    note: 'why',
  };
  const recorder = (create: (object: RawObject) => Promise<RawObject>) => {
    const clock = new ManualClock();
    return { clock, record: createEventRecorder({ api: { create }, clock, logger: silent, instance: 'replica-0' }) };
  };

  test('are written once in ten minutes for the same thing', () => {
    const created: RawObject[] = [];
    const { clock, record } = recorder(async (object) => {
      created.push(object);
      return object;
    });
    record(notice);
    record(notice);
    expect(created).toHaveLength(1);
    record({ ...notice, note: 'another reason' });
    expect(created).toHaveLength(2);
    clock.advance(600_000);
    record(notice);
    expect(created).toHaveLength(3);
    expect(new Set(created.map(({ metadata }) => metadata.name)).size).toBe(3);
    expect(created[0]).toMatchObject({
      reportingInstance: 'replica-0',
      type: 'Warning',
      metadata: { namespace: 'shop' },
    });
  });

  test('are given up where the API server does not take them', async () => {
    let asked = 0;
    const refusal = Promise.withResolvers<RawObject>();
    const { record } = recorder(() => {
      asked++;
      return refusal.promise;
    });
    for (let index = 0; index < 100; index++) record({ ...notice, note: `reason ${index}` });
    expect(asked).toBe(20);
    refusal.reject(new Error('forbidden'));
    await new Promise((resolve) => setImmediate(resolve));
    record({ ...notice, note: 'one more' });
    expect(asked).toBe(21);
  });

  test('have notes no longer than Kubernetes takes', () => {
    const notes: unknown[] = [];
    const { record } = recorder(async (object) => {
      notes.push(object.note);
      return object;
    });
    record({ ...notice, note: 'x'.repeat(3000) });
    expect(String(notes[0])).toHaveLength(1024);
  });
});
