import { afterEach, expect, test } from '@jest/globals';
import { AuthorityKeeper } from '../../runtime/controller/authority/authority-keeper.ts';
import type { Svid, SvidSource } from '../../runtime/identity/index.ts';
import { type AccessPolicy, formatSpiffeId, systemClock } from '../../runtime/model/index.ts';
import { DiscoveryClient } from '../../runtime/xds/index.ts';
import { SecretPlace } from '../controller/authority-stores.ts';
import { closeAll, freePort, send, startApp, startProxy, startWiretap } from '../proxy/mesh.ts';
import { endpointsOf, service } from '../proxy/resources.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { SteadyLoad } from '../support/steady-load.ts';
import { random, silent, TestControlPlane, trustDomain, workload } from './control-plane.ts';
import { meet } from './tls-pair.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await closeAll();
});

/** Phases are this short because TLS goes by the machine's clock: nobody is further than that ahead of it. */
const overlap = 2000;

const onlyFrom = (name: string): AccessPolicy => ({
  policy: { kind: 'AccessPolicy', namespace: 'shop', name: 'reviews-access' },
  rules: [{ name: 'callers', action: 'allow', from: [{ kind: 'service-account', namespace: 'shop', name }], to: [] }],
});

/** A proxy's certificate and its configuration stream, on a clock of its own. */
class Workload {
  readonly clock = new ManualClock();
  readonly source: SvidSource;
  readonly discovery: DiscoveryClient;
  svid!: Svid;

  constructor(plane: TestControlPlane, name: string) {
    this.source = plane.svidSource({
      id: workload(name),
      clock: this.clock,
      token: () => plane.token({ serviceAccount: name }),
    });
    this.source.onChange((svid) => {
      this.svid = svid;
    });
    this.discovery = new DiscoveryClient({
      address: plane.address,
      credentials: () => this.svid,
      node: { id: `${name}-0.shop`, metadata: {} },
      onUpdate: () => [],
      clock: systemClock,
      random,
      logger: silent,
    });
    this.discovery.subscribe('service', ['*']);
    cleanups.push(() => this.discovery.close());
    cleanups.push(() => this.source.close());
  }

  /** Lets it notice that the roots have changed, as it does within two minutes. */
  async notice(): Promise<void> {
    const before = this.svid;
    await eventually(() => {
      if (this.svid !== before) return true;
      this.clock.advance(10_000);
      return false;
    });
  }
}

test('a root is changed under load, and nobody sees an error: neither calls, old and new, nor discovery', async () => {
  using home = new SecretPlace();
  const clock = new ManualClock();
  const keeper = await AuthorityKeeper.open({ store: home.open(), trustDomain, clock, logger: silent, overlap });
  const plane = await TestControlPlane.start({ authority: keeper, clock });
  cleanups.push(() => plane[Symbol.asyncDispose]());
  keeper.onChange(() => plane.svid.renew());

  const [web, reviews] = [new Workload(plane, 'web'), new Workload(plane, 'reviews')];
  const all = [web, reviews];
  await Promise.all(all.map(({ source }) => source.start()));
  for (const { discovery } of all) discovery.start();
  await eventually(() => all.every(({ discovery }) => discovery.connected));
  const firstBundle = web.svid.bundlePem;

  const app = await startApp((_request, response) => response.end('reviews'));
  // Two ways in, so that callers can be led to one to which they have no connection.
  const doors = [await freePort(), await freePort()];
  const wires = [await startWiretap(doors[0]), await startWiretap(doors[1])];
  const outbound = await freePort();
  const server = await startProxy({
    serviceAccount: 'reviews',
    svid: reviews.svid,
    ports: [{ port: 9080, protocol: 'http' }],
    access: [onlyFrom('web')],
    bootstrap: {
      trustDomain,
      inbound: doors.map((door) => ({ listen: `127.0.0.1:${door}`, port: 9080, app: `127.0.0.1:${app}` })),
    },
  });
  const through = (port: number) =>
    endpointsOf('reviews', 9080, [{ port, identity: formatSpiffeId(workload('reviews')) }]);
  const client = await startProxy({
    serviceAccount: 'web',
    svid: web.svid,
    resources: [service('reviews', 9080, 'http'), through(wires[0].port)],
    bootstrap: {
      trustDomain,
      outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] },
    },
  });
  web.source.onChange((svid) => client.proxy.setSvid(svid));
  reviews.source.onChange((svid) => server.proxy.setSvid(svid));

  const load = new SteadyLoad(4, async () => {
    const { status, body } = await send(outbound);
    return { status, body: body.toString() };
  });
  /** New connections each way, with the certificates of this moment: of the load, too. */
  const meetBothWays = async () => {
    wires.reverse();
    const [next, last] = wires;
    expect(next.open).toBe(0);
    client.proxy.apply([through(next.port)], 'endpoints', []);
    await load.more(20);
    await eventually(() => next.open > 0 && last.open === 0);
    expect(await meet(web.svid, reviews.svid, trustDomain)).toBe(formatSpiffeId(workload('web')));
    expect(await meet(reviews.svid, web.svid, trustDomain)).toBe(formatSpiffeId(workload('reviews')));
  };

  await home.open().requestRotation(clock.wallTime());
  await keeper.reload();
  for (const phase of ['announced', 'retiring', 'steady']) {
    await keeper.advance();
    expect(keeper.describe().phase).toBe(phase);
    await eventually(() => plane.svid.current()?.bundlePem === keeper.bundlePem);
    await load.more(50);
    await meetBothWays();
    // Once the one is first, once the other.
    for (const one of phase === 'retiring' ? [reviews, web] : [web, reviews]) {
      // While a root retires the bundle is what it was: certificates are renewed when half of their life is over.
      if (phase === 'retiring') one.source.renew();
      await one.notice();
      await load.more(50);
      await meetBothWays();
    }
    clock.advance(overlap);
  }
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.sent).toBeGreaterThan(400);
  expect(web.svid.bundlePem).not.toContain(firstBundle);
  expect(web.svid.bundlePem).toBe(keeper.bundlePem);
  // Streams that began with the old certificates have gone on; new ones begin with the new.
  expect(all.every(({ discovery }) => discovery.connected)).toBe(true);
  expect(plane.handler.proxies()).toHaveLength(2);
  const late = new Workload(plane, 'ratings');
  await late.source.start();
  late.discovery.start();
  await eventually(() => late.discovery.connected);
});
