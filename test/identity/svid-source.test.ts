import { createPublicKey, X509Certificate } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import { CertificateAuthority } from '../../runtime/identity/authority.ts';
import type { Logger, Svid, SvidSource } from '../../runtime/identity/index.ts';
import { systemClock } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { TestControlPlane, trustDomain, workload } from './control-plane.ts';

const hour = 3_600_000;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function controlPlane(...settings: Parameters<typeof TestControlPlane.start>) {
  const started = await TestControlPlane.start(...settings);
  cleanups.push(() => started[Symbol.asyncDispose]());
  return started;
}

function tracked(source: SvidSource): SvidSource {
  cleanups.push(() => source.close());
  return source;
}

/** A logger whose first complaint can be awaited. */
function complaint(): { logger: Logger; reason: Promise<string> } {
  const { promise, resolve } = Promise.withResolvers<string>();
  return {
    logger: { info: () => {}, warn: (details) => resolve((details as { reason: string }).reason) },
    reason: promise,
  };
}

function nextSvid(source: SvidSource): Promise<Svid> {
  return new Promise((resolve) => {
    const stop = source.onChange((svid) => {
      stop();
      resolve(svid);
    });
  });
}

test('a workload with a token gets a certificate for its own key and identity', async () => {
  const plane = await controlPlane();
  const source = tracked(plane.svidSource());
  expect(source.current()).toBeUndefined();
  const svid = await source.start();
  const leaf = new X509Certificate(svid.certChainPem);
  expect(leaf.subjectAltName).toBe('URI:spiffe://shop.local/ns/shop/sa/reviews');
  expect(leaf.publicKey.export({ type: 'spki', format: 'pem' })).toBe(
    createPublicKey(svid.key).export({ type: 'spki', format: 'pem' }),
  );
  expect(svid.bundlePem).toBe(plane.authority.bundlePem);
  expect(svid.notAfter - Date.now()).toBeGreaterThan(23.9 * hour);
  expect(source.current()).toBe(svid);
});

test.each([
  ['for another audience', async (plane: TestControlPlane) => plane.token({ audience: 'vault' }), /aud/],
  ['that has expired', async (plane: TestControlPlane) => plane.token({ ttl: -30_000 }), /exp/],
  ['of another issuer', async () => (await controlPlane()).token(), /signature/],
  ['that is no token', async () => 'nonsense', /Invalid Compact JWS/],
  ['that is empty', async () => '', /no bearer token/],
])('a token %s is refused', async (_what, token, reason) => {
  const plane = await controlPlane();
  const failure = complaint();
  const source = tracked(plane.svidSource({ token: () => token(plane), logger: failure.logger }));
  source.start().catch(() => {});
  expect(await failure.reason).toMatch(/refuses the token/);
  expect(await failure.reason).toMatch(reason);
  expect(source.current()).toBeUndefined();
});

test('a certificate for somebody else than expected is not taken', async () => {
  const plane = await controlPlane();
  const failure = complaint();
  const token = () => plane.token({ serviceAccount: 'ratings' });
  tracked(plane.svidSource({ token, logger: failure.logger }))
    .start()
    .catch(() => {});
  expect(await failure.reason).toMatch(
    'is for URI:spiffe://shop.local/ns/shop/sa/ratings, not for spiffe://shop.local/ns/shop/sa/reviews',
  );
});

test('the token is not given to a server that is not the controller, though it is of the mesh', async () => {
  const plane = await controlPlane({ identity: workload('ratings') });
  const failure = complaint();
  tracked(plane.svidSource({ logger: failure.logger }))
    .start()
    .catch(() => {});
  expect(await failure.reason).toMatch(
    'expected peer spiffe://shop.local/ns/meshwright-system/sa/meshwright-controller, but the certificate is of spiffe://shop.local/ns/shop/sa/ratings',
  );
});

test('the token is not given to a controller of another root', async () => {
  const plane = await controlPlane();
  const other = await CertificateAuthority.create({ trustDomain, clock: systemClock });
  const failure = complaint();
  tracked(plane.svidSource({ bundlePem: async () => other.bundlePem, logger: failure.logger }))
    .start()
    .catch(() => {});
  expect(await failure.reason).toMatch(/certificate/);
});

test('a certificate is renewed with a new key at half of its life', async () => {
  const clock = new ManualClock();
  // The controller's own certificate stays, as TLS goes by the machine's clock.
  const plane = await controlPlane({ authority: await CertificateAuthority.create({ trustDomain, clock }) });
  const source = tracked(plane.svidSource({ clock }));
  const first = await source.start();
  const renewed = nextSvid(source);
  clock.advance(11.9 * hour);
  expect(source.current()).toBe(first);
  clock.advance(0.2 * hour);
  const second = await renewed;
  expect(source.current()).toBe(second);
  expect(second.key).not.toBe(first.key);
  expect(second.notAfter - first.notAfter).toBeGreaterThan(11.9 * hour);
});

test('while the controller is gone the last certificate is used until it expires', async () => {
  const clock = new ManualClock();
  const plane = await TestControlPlane.start({ clock });
  const failure = complaint();
  const source = tracked(plane.svidSource({ clock, token: () => plane.token({ clock }), logger: failure.logger }));
  const svid = await source.start();
  await plane[Symbol.asyncDispose]();
  clock.advance(12.5 * hour);
  expect(await failure.reason).toMatch(/does not answer: .*ECONNREFUSED/);
  expect(source.problem).toMatchObject({ id: 'MW1620', message: await failure.reason });
  expect(source.current()).toBe(svid);
  clock.advance(12 * hour);
  expect(source.current()).toBeUndefined();
});

test('when the controller is back the certificate is renewed', async () => {
  const clock = new ManualClock();
  const first = await TestControlPlane.start();
  let plane = first;
  const failure = complaint();
  const source = tracked(first.svidSource({ clock, token: () => plane.token(), logger: failure.logger }));
  const svid = await source.start();
  await first[Symbol.asyncDispose]();
  clock.advance(12.5 * hour);
  await failure.reason;
  plane = await controlPlane({ authority: first.authority, port: first.port });
  const renewed = nextSvid(source);
  clock.advance(5000);
  expect((await renewed).key).not.toBe(svid.key);
  expect(source.problem).toBeUndefined();
});

test('roots that are announced are believed, though the controller that signs does not know of them yet', async () => {
  const plane = await controlPlane();
  const next = await CertificateAuthority.create({ trustDomain, clock: systemClock });
  const announced = plane.authority.bundlePem + next.bundlePem;
  const source = tracked(plane.svidSource({ bundlePem: async () => announced }));
  expect((await source.start()).bundlePem).toBe(announced);
});

test('neither keys nor tokens are told in a log', async () => {
  const plane = await controlPlane();
  const lines: string[] = [];
  const write = (details: object, message: string) => lines.push(`${message} ${JSON.stringify(details)}`);
  const logger: Logger = { info: write, warn: write };
  const token = await plane.token();
  const svid = await tracked(plane.svidSource({ logger, token: async () => token })).start();
  const strange = await plane.token({ serviceAccount: 'ratings' });
  const refused = tracked(plane.svidSource({ logger, token: async () => strange }));
  refused.start().catch(() => {});
  const expired = await plane.token({ ttl: -30_000 });
  tracked(plane.svidSource({ logger, token: async () => expired }))
    .start()
    .catch(() => {});
  await eventually(() => lines.length >= 3);
  const text = lines.join('\n').replaceAll('\\n', '');
  expect(text).not.toContain('PRIVATE KEY');
  const secrets = [svid.key.replaceAll('\n', '').slice(60, 90), token, strange, expired];
  for (const secret of secrets) expect(text).not.toContain(secret);
});
