import { X509Certificate } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type Authority, CertificateAuthority } from '../../runtime/identity/authority.ts';
import type { Logger, Svid, SvidSource } from '../../runtime/identity/index.ts';
import { type Clock, systemClock } from '../../runtime/model/index.ts';
import { DiscoveryClient } from '../../runtime/xds/index.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { random, silent, TestControlPlane, trustDomain } from './control-plane.ts';

const minute = 60_000;
const hour = 60 * minute;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const newAuthority = () => CertificateAuthority.create({ trustDomain, clock: systemClock });

async function controlPlane(...settings: Parameters<typeof TestControlPlane.start>) {
  const started = await TestControlPlane.start(...settings);
  cleanups.push(() => started[Symbol.asyncDispose]());
  return started;
}

/** A proxy's source of SVIDs, with the file of roots that its bootstrap names and what it complains of. */
class TestProxy {
  readonly complaints: string[] = [];
  readonly source: SvidSource;
  /** What the file of roots says; `undefined`: it cannot be read. */
  bundle: string | undefined;
  plane: TestControlPlane;
  /** The newest SVID, though it may have expired. */
  svid: Svid | undefined;
  readonly clock: ManualClock;

  constructor(plane: TestControlPlane, clock: ManualClock, wallTime: Clock = clock) {
    this.plane = plane;
    this.clock = clock;
    this.bundle = plane.authority.bundlePem;
    const logger: Logger = {
      info: () => {},
      warn: (details) => this.complaints.push((details as { reason: string }).reason),
    };
    this.source = plane.svidSource({
      clock: wallTime,
      logger,
      token: () => this.plane.token(),
      bundlePem: async () => {
        if (this.bundle === undefined) throw new Error('ENOENT: root.pem');
        return this.bundle;
      },
    });
    this.source.onChange((svid) => {
      this.svid = svid;
    });
    cleanups.push(() => this.source.close());
  }

  /** Lets time pass, some seconds a turn, until a condition holds. */
  async until(condition: () => boolean): Promise<void> {
    await eventually(() => {
      if (condition()) return true;
      this.clock.advance(5000);
      return false;
    });
  }
}

describe('when the roots change', () => {
  test('a proxy gets a new certificate within two minutes, though its own would hold for hours', async () => {
    const clock = new ManualClock();
    const first = await TestControlPlane.start();
    const proxy = new TestProxy(first, clock);
    const before = await proxy.source.start();
    await first[Symbol.asyncDispose]();
    const second = await controlPlane({ authority: await newAuthority(), port: first.port });
    proxy.plane = second;
    proxy.bundle = second.authority.bundlePem;
    const began = clock.now();
    await proxy.until(() => proxy.svid !== before);
    expect(clock.now() - began).toBeLessThanOrEqual(2 * minute);
    expect(proxy.svid?.bundlePem).toBe(second.authority.bundlePem);
  });

  test('nobody asks for anything while they stay the same', async () => {
    const clock = new ManualClock();
    const plane = await controlPlane();
    const proxy = new TestProxy(plane, clock);
    const before = await proxy.source.start();
    let reads = 0;
    const text = proxy.bundle;
    Object.defineProperty(proxy, 'bundle', {
      get: () => {
        reads++;
        return text;
      },
    });
    await proxy.until(() => reads >= 5);
    expect(clock.now()).toBeGreaterThan(2 * minute);
    expect(proxy.svid).toBe(before);
  });

  test('an old root is not believed any more, however often it is tried', async () => {
    const clock = new ManualClock();
    const plane = await controlPlane();
    const proxy = new TestProxy(plane, clock);
    const before = await proxy.source.start();
    // Who stole the key of the old root can pretend to be the controller.
    proxy.bundle = (await newAuthority()).bundlePem;
    await proxy.until(() => proxy.complaints.length >= 4);
    expect(proxy.complaints.filter((reason) => !reason.includes('certificate'))).toEqual([]);
    expect(proxy.svid).toBe(before);
  });
});

test('a proxy whose given roots never change follows those that come with its certificates', async () => {
  const clock = new ManualClock();
  const [old, next] = [await newAuthority(), await newAuthority()];
  const { certificatePem, keyPem } = old;
  const rootPem = certificatePem + next.certificatePem;
  const both = await CertificateAuthority.load({ certificatePem, keyPem, rootPem, clock: systemClock });
  const first = await TestControlPlane.start({ authority: both });
  const proxy = new TestProxy(first, clock);
  proxy.bundle = old.bundlePem;
  const before = await proxy.source.start();
  await first[Symbol.asyncDispose]();
  proxy.plane = await controlPlane({ authority: next, port: first.port });
  proxy.source.renew();
  await proxy.until(() => proxy.svid !== before);
  expect(proxy.svid?.bundlePem).toBe(next.bundlePem);
});

describe('a proxy whose certificate has expired', () => {
  /** Certificates of workloads, of half an hour from an hour ago; the controller's own is of now. */
  function issuerOfThePast(authority: CertificateAuthority, past: CertificateAuthority): Authority {
    return {
      trustDomain,
      bundlePem: authority.bundlePem,
      sign: (csrPem, id) => (id.namespace === 'shop' ? past.sign(csrPem, id, hour / 2) : authority.sign(csrPem, id)),
      signServing: (request) => authority.signServing(request),
    };
  }

  test('comes back with its configuration after the root was replaced while it was cut off', async () => {
    const clock = new ManualClock();
    const hourAgo: Clock = {
      now: () => clock.now(),
      wallTime: () => clock.wallTime() - hour,
      schedule: (delay, callback) => clock.schedule(delay, callback),
    };
    const past = await CertificateAuthority.create({ trustDomain, clock: hourAgo });
    const { certificatePem, keyPem } = past;
    const present = await CertificateAuthority.load({ certificatePem, keyPem, clock: systemClock });
    const first = await TestControlPlane.start({ authority: issuerOfThePast(present, past) });
    const proxy = new TestProxy(first, clock, hourAgo);
    const before = await proxy.source.start();
    const discovery = new DiscoveryClient({
      address: first.address,
      credentials: () => proxy.svid,
      node: { id: 'reviews-0.shop', metadata: {} },
      onUpdate: () => [],
      clock,
      random,
      logger: silent,
    });
    cleanups.push(() => discovery.close());
    discovery.subscribe('service', ['*']);
    discovery.start();
    await first[Symbol.asyncDispose]();
    clock.advance(2 * hour);
    expect(proxy.source.current()).toBeUndefined();
    expect(new X509Certificate(before.certChainPem).validToDate.getTime()).toBeLessThan(Date.now());

    const second = await controlPlane({ authority: await newAuthority(), port: first.port });
    proxy.plane = second;
    await proxy.until(() => proxy.complaints.some((reason) => reason.includes('certificate')));
    expect(proxy.svid).toBe(before);
    proxy.bundle = second.authority.bundlePem;
    await proxy.until(() => proxy.source.current() !== undefined);
    await proxy.until(() => discovery.connected);
    expect(second.handler.proxies()).toMatchObject([{ id: 'reviews-0.shop' }]);
  });
});

describe('a file of roots', () => {
  test.each<[string, string | undefined, RegExp]>([
    ['that is not there yet', undefined, /ENOENT/],
    ['that is empty', '', /holds no certificate/],
    ['that holds no certificate', 'nonsense', /holds no certificate/],
    ['that is broken', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', /./],
  ])('%s is read again until it is good', async (_what, content, reason) => {
    const plane = await controlPlane();
    const proxy = new TestProxy(plane, new ManualClock());
    const good = proxy.bundle;
    proxy.bundle = content;
    proxy.source.start().catch(() => {});
    await proxy.until(() => proxy.complaints.length >= 2);
    expect(proxy.complaints[0]).toMatch(reason);
    expect(proxy.svid).toBeUndefined();
    proxy.bundle = good;
    await proxy.until(() => proxy.svid !== undefined);
  });
});

test('a renewal that is asked for while one is under way happens after it', async () => {
  const plane = await controlPlane();
  const proxy = new TestProxy(plane, new ManualClock());
  const svids: Svid[] = [];
  proxy.source.onChange((svid) => svids.push(svid));
  const started = proxy.source.start();
  proxy.source.renew();
  proxy.source.renew();
  await started;
  await eventually(() => svids.length === 2);
  proxy.source.renew();
  await eventually(() => svids.length === 3);
  expect(new Set(svids.map(({ key }) => key)).size).toBe(3);
});
