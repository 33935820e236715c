import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:tls';
import { afterEach, expect, test } from '@jest/globals';
import type { SvidSource } from '../../runtime/identity/index.ts';
import {
  type Endpoints,
  type Finding,
  finding,
  formatSpiffeId,
  type Resource,
  type Service,
  systemClock,
} from '../../runtime/model/index.ts';
import { DiscoveryClient, type DiscoveryClientOptions, type DiscoveryUpdate } from '../../runtime/xds/index.ts';
import { DiscoveryCache } from '../../runtime/xds/server.ts';
import { type ControlPlaneSettings, random, silent, TestControlPlane, workload } from '../identity/control-plane.ts';
import { ManualClock } from '../support/manual-clock.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function service(name: string, host = name): Service {
  return {
    kind: 'service',
    name: `shop/${name}`,
    hosts: [host],
    addresses: [],
    ports: [],
    balancer: { kind: 'peak-ewma' },
  };
}

function endpoints(name: string, ...addresses: string[]): Endpoints {
  return {
    kind: 'endpoints',
    name: `shop/${name}`,
    endpoints: addresses.map((address) => ({ address, ports: { 80: 80 } })),
  };
}

async function controlPlane(settings: ControlPlaneSettings = {}): Promise<TestControlPlane> {
  const plane = await TestControlPlane.start(settings);
  cleanups.push(() => plane[Symbol.asyncDispose]());
  return plane;
}

/** A proxy that writes down what it gets. */
class TestProxy {
  readonly client: DiscoveryClient;
  readonly log: string[] = [];
  /** Kinds of which it was told that there is nothing. */
  readonly nothing: string[] = [];
  /** What it says to the next updates. */
  answer: (update: DiscoveryUpdate) => readonly Finding[] = () => [];
  readonly #waiting = new Set<() => void>();

  private constructor(
    plane: TestControlPlane,
    svid: SvidSource,
    serviceAccount: string,
    options: Partial<DiscoveryClientOptions>,
  ) {
    this.client = new DiscoveryClient({
      address: plane.address,
      credentials: () => svid.current(),
      node: { id: `${serviceAccount}-0.shop`, metadata: { workload: `shop/${serviceAccount}` } },
      onUpdate: (update) => {
        if (update.updates.length + update.removed.length > 0) this.log.push(describe(update));
        else this.nothing.push(update.kind);
        for (const check of this.#waiting) check();
        return this.answer(update);
      },
      clock: systemClock,
      random,
      logger: silent,
      ...options,
    });
  }

  static async start(
    plane: TestControlPlane,
    serviceAccount = 'reviews',
    options: Partial<DiscoveryClientOptions> = {},
  ) {
    const svid = plane.svidSource({ id: workload(serviceAccount), token: () => plane.token({ serviceAccount }) });
    await svid.start();
    const proxy = new TestProxy(plane, svid, serviceAccount, options);
    cleanups.push(() => {
      proxy.client.close();
      svid.close();
    });
    proxy.client.start();
    return proxy;
  }

  /** Waits until it has got a number of updates, and gives them. */
  async updates(count: number): Promise<readonly string[]> {
    while (this.log.length < count) {
      await new Promise<void>((resolve) => {
        const check = () => {
          this.#waiting.delete(check);
          resolve();
        };
        this.#waiting.add(check);
      });
    }
    return this.log;
  }
}

function describe({ kind, updates, removed }: DiscoveryUpdate): string {
  const names = updates.map((resource) => resource.name.replace('shop/', ''));
  return [kind, ...names, ...removed.map((name) => `-${name.replace('shop/', '')}`)].join(' ');
}

/** Waits for what another process does in its own time. */
async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** What a proxy has accepted of a kind, as the controller sees it. */
function acknowledged(plane: TestControlPlane, kind: Resource['kind'], index = 0) {
  return Object.keys(plane.handler.proxies()[index]?.subscriptions[kind]?.acknowledged ?? {}).sort();
}

test('a proxy gets what it subscribes to, its changes and its removal, and nothing else', async () => {
  const plane = await controlPlane();
  plane.cache.set([service('reviews'), service('ratings')]);
  const proxy = await TestProxy.start(plane);
  proxy.client.subscribe('service', ['shop/reviews']);
  expect(await proxy.updates(1)).toEqual(['service reviews']);
  plane.cache.set([service('reviews'), service('ratings', 'changed')]);
  plane.cache.set([service('reviews', 'changed'), service('ratings', 'changed')]);
  expect(await proxy.updates(2)).toEqual(['service reviews', 'service reviews']);
  plane.cache.set([service('ratings', 'changed')]);
  expect((await proxy.updates(3))[2]).toBe('service -reviews');
});

test('the resource arrives as it was', async () => {
  const plane = await controlPlane();
  const sent = service('reviews', 'größe.shop "quoted" \u2028');
  plane.cache.set([sent]);
  const got: Resource[] = [];
  const proxy = await TestProxy.start(plane);
  proxy.answer = ({ updates }) => {
    got.push(...updates);
    return [];
  };
  proxy.client.subscribe('service', ['shop/reviews']);
  await proxy.updates(1);
  expect(got).toEqual([sent]);
});

test('a wildcard gets everything it may see, and what comes later', async () => {
  const plane = await controlPlane({ authorize: (_id, _kind, name) => name !== 'shop/secret' });
  plane.cache.set([service('a'), service('b'), service('secret')]);
  const proxy = await TestProxy.start(plane);
  proxy.client.subscribe('service', ['*']);
  expect(await proxy.updates(1)).toEqual(['service a b']);
  plane.cache.set([service('a'), service('c'), service('secret', 'changed')]);
  expect((await proxy.updates(3)).slice(1)).toEqual(['service c', 'service -b']);
});

test('a name that does not exist yet is reported absent, and sent when it appears', async () => {
  const plane = await controlPlane();
  const proxy = await TestProxy.start(plane);
  proxy.client.subscribe('service', ['shop/later']);
  expect(await proxy.updates(1)).toEqual(['service -later']);
  plane.cache.set([service('later')]);
  expect((await proxy.updates(2))[1]).toBe('service later');
});

test('equal input pushes nothing, though its objects and the order of its keys are others', async () => {
  const plane = await controlPlane();
  plane.cache.set([service('reviews'), service('ratings')]);
  const encodings = plane.cache.encodings;
  const reordered = Object.fromEntries(Object.entries(service('reviews')).reverse()) as unknown as Service;
  expect(plane.cache.set([service('ratings'), reordered]).size).toBe(0);
  expect(plane.cache.encodings).toBe(encodings);
});

test('two proxies share one encoding', async () => {
  const plane = await controlPlane();
  plane.cache.set([service('reviews')]);
  const proxies = [await TestProxy.start(plane, 'front'), await TestProxy.start(plane, 'ratings')];
  for (const proxy of proxies) proxy.client.subscribe('service', ['shop/reviews']);
  for (const proxy of proxies) expect(await proxy.updates(1)).toEqual(['service reviews']);
  plane.cache.set([service('reviews', 'changed')]);
  for (const proxy of proxies) await proxy.updates(2);
  expect(plane.cache.encodings).toBe(2);
});

test('a proxy that asks for everything hears that there is nothing', async () => {
  const proxy = await TestProxy.start(await controlPlane());
  proxy.client.subscribe('endpoints', ['*']);
  await eventually(() => proxy.nothing.length > 0);
  expect(proxy.nothing).toEqual(['endpoints']);
  expect(proxy.log).toEqual([]);
});

test('a change of several kinds is sent as workload, gateway, endpoints, service', async () => {
  const plane = await controlPlane();
  const proxy = await TestProxy.start(plane);
  proxy.client.subscribe('service', ['*']);
  proxy.client.subscribe('endpoints', ['*']);
  proxy.client.subscribe('gateway', ['*']);
  await eventually(() => plane.handler.proxies()[0]?.subscriptions.gateway !== undefined);
  plane.cache.set([
    service('reviews'),
    endpoints('reviews', '127.0.0.1'),
    { kind: 'gateway', name: 'shop/front', listeners: [] },
  ]);
  expect(await proxy.updates(3)).toEqual(['gateway front', 'endpoints reviews', 'service reviews']);
});

test('what vanishes is taken away only after what takes its place has come', async () => {
  const plane = await controlPlane();
  plane.cache.set([service('old'), endpoints('old'), service('front', 'old')]);
  const proxy = await TestProxy.start(plane);
  proxy.client.subscribe('endpoints', ['*']);
  proxy.client.subscribe('service', ['*']);
  await eventually(() => acknowledged(plane, 'service').length === 2);
  plane.cache.set([service('new'), endpoints('new'), service('front', 'new')]);
  expect((await proxy.updates(6)).slice(2)).toEqual([
    'endpoints new',
    'service new front',
    'service -old',
    'endpoints -old',
  ]);
});

test('what a proxy refuses is reported with its reason, stays unaccepted, and is not sent again until it changes', async () => {
  const plane = await controlPlane();
  plane.cache.set([service('reviews')]);
  const proxy = await TestProxy.start(plane);
  proxy.client.subscribe('service', ['shop/reviews']);
  await eventually(() => acknowledged(plane, 'service').length === 1);
  const accepted = plane.cache.version('service', 'shop/reviews');
  const status = () => plane.handler.proxies()[0].subscriptions.service!;

  proxy.answer = () => [finding('MW1702', { message: 'no such thing', hint: 'none' })];
  plane.cache.set([service('reviews', 'bad')]);
  await eventually(() => Object.keys(status().rejected).length > 0);
  expect(status().acknowledged).toEqual({ 'shop/reviews': accepted });
  expect(status().rejected).toEqual({
    'shop/reviews': {
      version: plane.cache.version('service', 'shop/reviews'),
      reason: expect.stringMatching(/MW1702.*no such thing/),
    },
  });

  proxy.answer = () => [];
  plane.handler.reauthorize();
  plane.cache.set([service('reviews', 'bad'), service('ratings')]);
  plane.cache.set([service('reviews', 'good'), service('ratings')]);
  await eventually(() => Object.keys(status().rejected).length === 0);
  expect(await proxy.updates(3)).toHaveLength(3);
  expect(status().acknowledged).toEqual({ 'shop/reviews': plane.cache.version('service', 'shop/reviews') });
  expect(status().rejected).toEqual({});
});

test('of an update with one bad resource the others are taken, and only the bad one is refused, by its name', async () => {
  const plane = await controlPlane();
  plane.cache.set(['reviews', 'ratings', 'cart'].map((name) => service(name)));
  const proxy = await TestProxy.start(plane);
  proxy.client.subscribe('service', ['shop/reviews', 'shop/ratings', 'shop/cart']);
  await eventually(() => acknowledged(plane, 'service').length === 3);
  const before = plane.cache.version('service', 'shop/ratings')!;
  const status = () => plane.handler.proxies()[0].subscriptions.service!;

  proxy.answer = ({ updates }) =>
    updates
      .filter(({ name }) => name === 'shop/ratings')
      .map(({ kind, name }) =>
        finding('MW1702', { message: 'no such thing', hint: 'none', object: `${kind} ${name}` }),
      );
  plane.cache.set(['reviews', 'ratings', 'cart'].map((name) => service(name, 'other')));
  await eventually(() => Object.keys(status().rejected).length > 0);
  const version = (name: string) => plane.cache.version('service', name);
  expect(status().rejected).toEqual({
    'shop/ratings': { version: version('shop/ratings'), reason: expect.stringContaining('no such thing') },
  });
  expect(status().acknowledged).toEqual({
    'shop/reviews': version('shop/reviews'),
    'shop/cart': version('shop/cart'),
    'shop/ratings': before,
  });
  // Nothing of it is sent again, nor does anything else wait for it.
  plane.handler.reauthorize();
  plane.cache.set([service('reviews', 'third'), service('ratings', 'other'), service('cart', 'other')]);
  await eventually(() => status().acknowledged['shop/reviews'] === version('shop/reviews'));
  expect(proxy.log.at(-1)).toBe('service reviews');
});

test('a refusal that names no resource of the update refuses all of it', async () => {
  const plane = await controlPlane();
  plane.cache.set(['reviews', 'ratings'].map((name) => service(name)));
  const proxy = await TestProxy.start(plane);
  proxy.answer = () => [finding('MW1702', { message: 'no such thing', hint: 'none', object: 'service shop/other' })];
  proxy.client.subscribe('service', ['shop/reviews', 'shop/ratings']);
  const rejected = () => Object.keys(plane.handler.proxies()[0]?.subscriptions.service?.rejected ?? {});
  await eventually(() => rejected().length > 0);
  expect(rejected().sort()).toEqual(['shop/ratings', 'shop/reviews']);
});

test('an update that the proxy fails at is refused, and the stream goes on', async () => {
  const plane = await controlPlane();
  plane.cache.set([service('reviews')]);
  const proxy = await TestProxy.start(plane);
  proxy.answer = () => {
    throw new Error('a fault');
  };
  proxy.client.subscribe('service', ['shop/reviews']);
  const rejected = () => plane.handler.proxies()[0]?.subscriptions.service?.rejected['shop/reviews'];
  await eventually(() => rejected() !== undefined);
  expect(rejected()?.reason).toMatch(/a fault/);
  expect(proxy.client.connected).toBe(true);
});

test('a slow proxy gets the newest version only: one response waits for its answer at a time', async () => {
  const cache = new DiscoveryCache();
  const plane = await controlPlane({ cache });
  cache.set([service('reviews', '0')]);
  const hosts: string[] = [];
  const proxy = await TestProxy.start(plane);
  proxy.answer = ({ updates }) => {
    hosts.push(...updates.flatMap((resource) => (resource.kind === 'service' ? resource.hosts : [])));
    // Ten changes while the first is not yet answered.
    if (hosts.length === 1) for (let i = 1; i <= 10; i++) cache.set([service('reviews', String(i))]);
    return [];
  };
  proxy.client.subscribe('service', ['shop/reviews']);
  await proxy.updates(2);
  await eventually(
    () =>
      plane.handler.proxies()[0].subscriptions.service?.acknowledged['shop/reviews'] ===
      cache.version('service', 'shop/reviews'),
  );
  expect(hosts).toEqual(['0', '10']);
});

test('after a restart of the controller only differences travel, and what vanished meanwhile is announced', async () => {
  const first = await TestControlPlane.start();
  first.cache.set([service('same'), service('changed'), service('gone')]);
  const proxy = await TestProxy.start(first);
  proxy.client.subscribe('service', ['shop/same', 'shop/changed', 'shop/gone']);
  expect(await proxy.updates(1)).toEqual(['service same changed gone']);
  expect(proxy.client.connected).toBe(true);
  await eventually(() => acknowledged(first, 'service').length === 3);
  await first[Symbol.asyncDispose]();
  await eventually(() => !proxy.client.connected);
  const cache = new DiscoveryCache();
  cache.set([service('same'), service('changed', 'other'), service('unrelated')]);
  const second = await controlPlane({ authority: first.authority, port: first.port, cache });
  expect((await proxy.updates(3)).slice(1)).toEqual(['service changed', 'service -gone']);
  await eventually(() => acknowledged(second, 'service').length === 2);
  expect(acknowledged(second, 'service')).toEqual(['shop/changed', 'shop/same']);
  expect(proxy.client.connected).toBe(true);
});

test('a proxy that has everything already is connected though it is told nothing', async () => {
  const first = await TestControlPlane.start();
  first.cache.set([service('same')]);
  const proxy = await TestProxy.start(first);
  proxy.client.subscribe('service', ['*']);
  await eventually(() => acknowledged(first, 'service').length === 1);
  await first[Symbol.asyncDispose]();
  await eventually(() => !proxy.client.connected);
  await controlPlane({ authority: first.authority, port: first.port, cache: first.cache });
  await eventually(() => proxy.client.connected);
  expect(proxy.log).toEqual(['service same']);
});

test('what is not wanted any more is not sent, and sent again when it is wanted again', async () => {
  const plane = await controlPlane();
  plane.cache.set([service('a'), service('b')]);
  const proxy = await TestProxy.start(plane);
  proxy.client.subscribe('service', ['shop/a', 'shop/b']);
  await eventually(() => acknowledged(plane, 'service').length === 2);
  proxy.client.subscribe('service', ['shop/b']);
  await eventually(() => acknowledged(plane, 'service').length === 1);
  plane.cache.set([service('a', 'changed'), service('b', 'changed')]);
  expect((await proxy.updates(2))[1]).toBe('service b');
  proxy.client.subscribe('service', ['shop/a', 'shop/b']);
  expect((await proxy.updates(3))[2]).toBe('service a');
});

test('what a proxy may not see looks absent and is reported, until it is allowed', async () => {
  const allowed = new Set(['shop/reviews']);
  const plane = await controlPlane({
    authorize: (identity, _kind, name) => formatSpiffeId(identity).endsWith('/ns/shop/sa/front') && allowed.has(name),
  });
  plane.cache.set([service('reviews'), service('secret')]);
  const front = await TestProxy.start(plane, 'front');
  front.client.subscribe('service', ['shop/reviews', 'shop/secret']);
  expect(await front.updates(1)).toEqual(['service reviews -secret']);
  expect(plane.handler.proxies()[0].subscriptions.service?.refused).toEqual(['shop/secret']);
  const other = await TestProxy.start(plane, 'ratings');
  other.client.subscribe('service', ['shop/reviews']);
  expect(await other.updates(1)).toEqual(['service -reviews']);

  allowed.add('shop/secret');
  allowed.delete('shop/reviews');
  plane.handler.reauthorize();
  expect((await front.updates(3)).slice(1)).toEqual(['service secret', 'service -reviews']);
});

test('a proxy without a certificate gets no configuration', async () => {
  const plane = await controlPlane();
  plane.cache.set([service('reviews')]);
  const { promise, resolve } = Promise.withResolvers<string>();
  const svid = { id: workload('reviews'), bundlePem: plane.authority.bundlePem, notAfter: 0 };
  const proxy = await TestProxy.start(plane, 'reviews', {
    credentials: () => ({ ...svid, key: undefined, certChainPem: undefined }) as never,
    logger: { ...silent, warn: (details) => resolve((details as { reason: string }).reason) },
  });
  proxy.client.subscribe('service', ['*']);
  expect(await promise).toMatch('a client certificate of this trust domain is required');
  expect(proxy.log).toEqual([]);
  expect(plane.handler.proxies()).toEqual([]);
});

test('a certificate of another root opens no stream, though it names a workload of the mesh', async () => {
  const plane = await controlPlane();
  const stranger = await controlPlane();
  const svid = await stranger.svidSource().start();
  const { promise, resolve } = Promise.withResolvers<string>();
  const proxy = await TestProxy.start(plane, 'reviews', {
    credentials: () => ({ ...svid, bundlePem: plane.authority.bundlePem }),
    logger: { ...silent, warn: (details) => resolve((details as { reason: string }).reason) },
  });
  proxy.client.subscribe('service', ['*']);
  expect(await promise).toMatch('a client certificate of this trust domain is required');
});

test('a stream ends when the certificate that opened it expires', async () => {
  const clock = new ManualClock();
  const plane = await controlPlane({ clock });
  const { promise, resolve } = Promise.withResolvers<string>();
  const proxy = await TestProxy.start(plane, 'reviews', {
    logger: { ...silent, warn: (details) => resolve((details as { reason: string }).reason) },
  });
  proxy.client.subscribe('service', ['shop/reviews']);
  await proxy.updates(1);
  clock.advance(23.9 * 3_600_000);
  expect(proxy.client.connected).toBe(true);
  clock.advance(0.2 * 3_600_000);
  expect(await promise).toMatch('the client certificate has expired');
});

test('when the certificate of the controller is renewed, new connections see the new one and streams go on', async () => {
  const clock = new ManualClock();
  const plane = await controlPlane({ clock });
  const proxy = await TestProxy.start(plane);
  proxy.client.subscribe('service', ['shop/reviews']);
  await proxy.updates(1);
  const presented = async () => {
    const socket = connect({ host: '127.0.0.1', port: plane.port, ALPNProtocols: ['h2'], rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { fingerprint256 } = socket.getPeerX509Certificate()!;
    socket.destroy();
    return fingerprint256;
  };
  const before = await presented();
  const renewed = new Promise((resolve) => plane.svid.onChange(resolve));
  clock.advance(13 * 3_600_000);
  await renewed;
  expect(await presented()).not.toBe(before);
  plane.cache.set([service('reviews')]);
  expect(await proxy.updates(2)).toEqual(['service -reviews', 'service reviews']);
});

test('proxies() tells who is connected, by certificate and by name, and forgets who left', async () => {
  const plane = await controlPlane();
  const proxy = await TestProxy.start(plane);
  proxy.client.subscribe('service', ['shop/reviews']);
  await proxy.updates(1);
  expect(plane.handler.proxies()).toEqual([
    expect.objectContaining({
      id: 'reviews-0.shop',
      identity: workload('reviews'),
      metadata: { workload: 'shop/reviews' },
    }),
  ]);
  proxy.client.close();
  await eventually(() => plane.handler.proxies().length === 0);
});

test('a large configuration arrives in several responses', async () => {
  const plane = await controlPlane();
  const long = 'h'.repeat(1000);
  plane.cache.set(Array.from({ length: 3000 }, (_, i) => service(`s${i}`, long)));
  const proxy = await TestProxy.start(plane);
  proxy.client.subscribe('service', ['*']);
  await eventually(() => acknowledged(plane, 'service').length === 3000);
  expect(proxy.log.length).toBeGreaterThan(1);
});

test.each(['fd77::1:15010', '[', 'a:b'])(
  'a stranger who calls it %j is answered, and everybody else goes on',
  async (authority) => {
    const plane = await controlPlane();
    const session = connectHttp2(`https://${plane.address}`, { rejectUnauthorized: false });
    cleanups.push(() => session.destroy());
    const stream = session.request({
      ':method': 'POST',
      ':path': '/meshwright.identity.v1.CertificateService/CreateCertificate',
      ':authority': authority,
      'content-type': 'application/grpc',
    });
    stream.resume().end();
    const [headers] = await once(stream, 'response');
    expect(headers[':status']).toBe(200);
    const proxy = await TestProxy.start(plane);
    proxy.client.subscribe('service', ['shop/reviews']);
    await proxy.updates(1);
  },
);
