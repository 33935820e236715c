import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  type AuthorityFiles,
  CertificateAuthority,
  createRoot,
  defaultOverlap,
  dueStep,
  phaseEnd,
  type RotationStep,
  rotationDue,
  svidLifetime,
  takeStep,
} from '../../runtime/identity/authority.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { trustDomain, workload } from './control-plane.ts';
import { type Credentials, credentialsOf, meet } from './tls-pair.ts';

const hour = 3_600_000;
const day = 24 * hour;
const year = 365 * day;
const overlap = defaultOverlap;

const newFiles = async (clock: ManualClock): Promise<AuthorityFiles> => {
  const root = await createRoot({ trustDomain, clock });
  return { ...root, rootPem: root.certificatePem };
};
const due = (files: AuthorityFiles, clock: ManualClock, requested = false) =>
  dueStep(files, { now: clock.wallTime(), overlap, requested });
const roots = ({ rootPem = '' }: AuthorityFiles) => rootPem.match(/-----BEGIN/g)?.length ?? 0;
const isReadable = (files: AuthorityFiles, clock: ManualClock) =>
  CertificateAuthority.load({ ...files, trustDomain, clock });

describe('a root of our own', () => {
  test('is followed by another one, announced at four fifths of its life, in three steps', async () => {
    const clock = new ManualClock();
    const first = await newFiles(clock);
    clock.advance(7.9 * year);
    expect(due(first, clock)).toBeUndefined();
    clock.advance(0.2 * year);
    expect(rotationDue(first)).toBeLessThanOrEqual(clock.wallTime());
    expect(due(first, clock)).toBe('announce');

    const announced = await takeStep('announce', first, { trustDomain, clock });
    expect(announced).toMatchObject({ certificatePem: first.certificatePem, keyPem: first.keyPem });
    expect(roots(announced)).toBe(2);
    expect(phaseEnd(announced, { overlap })).toBe(clock.wallTime() + overlap);
    clock.advance(overlap - 1);
    expect(due(announced, clock)).toBeUndefined();
    clock.advance(1);
    expect(due(announced, clock)).toBe('sign');

    const retiring = await takeStep('sign', announced, { trustDomain, clock });
    expect(retiring.rootPem).toBe(announced.rootPem);
    expect(retiring.certificatePem).not.toBe(first.certificatePem);
    expect(JSON.stringify(retiring)).not.toContain(JSON.stringify(first.keyPem));
    clock.advance(overlap - 1);
    expect(due(retiring, clock)).toBeUndefined();
    clock.advance(1);
    expect(due(retiring, clock)).toBe('retire');

    const last = await takeStep('retire', retiring, { trustDomain, clock });
    expect(last).toEqual({
      certificatePem: retiring.certificatePem,
      keyPem: retiring.keyPem,
      rootPem: retiring.certificatePem,
    });
    expect(due(last, clock)).toBeUndefined();
  });

  test('is followed by another one when somebody asks, but not while a change is under way', async () => {
    const clock = new ManualClock();
    const first = await newFiles(clock);
    expect(due(first, clock, true)).toBe('announce');
    const announced = await takeStep('announce', first, { trustDomain, clock });
    expect(due(announced, clock, true)).toBeUndefined();
    clock.advance(overlap);
    const retiring = await takeStep('sign', announced, { trustDomain, clock });
    expect(due(retiring, clock, true)).toBeUndefined();
  });

  test('that expired unseen is replaced at once, or by the one that was announced', async () => {
    const clock = new ManualClock();
    const first = await newFiles(clock);
    const second = await takeStep('announce', first, { trustDomain, clock });
    clock.advance(11 * year);
    expect(due(first, clock)).toBe('replace');
    const fresh = await takeStep('replace', first, { trustDomain, clock });
    expect(roots(fresh)).toBe(1);
    expect((await isReadable(fresh, clock)).findings()).toEqual([]);
    expect(due(fresh, clock)).toBeUndefined();
    // The one that was announced has expired as well by now; the first step brings it, the second replaces it.
    expect(due(second, clock)).toBe('sign');
    const late = await takeStep('sign', second, { trustDomain, clock });
    expect(due(late, clock)).toBe('replace');
  });
});

test('each phase lasts longer than a certificate of a workload', () => {
  expect(overlap).toBeGreaterThan(svidLifetime);
});

/**
 * A fleet that renews at half of the life of its certificates, while the root changes. Times are those of the model;
 * what is believed is decided by the signatures.
 */
test('whenever proxies renew and controllers look, any two proxies with valid certificates believe each other', async () => {
  interface Proxy {
    readonly issuedBy: string;
    readonly believes: string;
    readonly notAfter: number;
    readonly renewAt: number;
  }
  const clock = new ManualClock();
  const begin = await newFiles(clock);
  const announced = await takeStep('announce', begin, { trustDomain, clock });
  const signing = await takeStep('sign', announced, { trustDomain, clock });
  const after: Record<RotationStep, AuthorityFiles> = {
    announce: announced,
    sign: signing,
    retire: await takeStep('retire', signing, { trustDomain, clock }),
    replace: begin,
  };
  const controllerDelay = fc.integer({ min: 0, max: hour - 60_000 });
  const proxies = fc.array(
    fc.record({ offset: fc.integer({ min: 0, max: day / 2 }), outage: fc.integer({ min: 0, max: day / 2 - hour }) }),
    { minLength: 2, maxLength: 6 },
  );
  const steps = fc.tuple(controllerDelay, controllerDelay, controllerDelay);
  fc.assert(
    fc.property(proxies, steps, fc.boolean(), (fleet, lateness, stale) => {
      const start = clock.wallTime();
      let files = begin;
      /** What a controller that looks late still has, until when. */
      let old = { files: begin, until: 0 };
      let taken = 0;
      const states: Proxy[] = [];
      const issue = (now: number, outage: number): Proxy => {
        const from = stale && now < old.until ? old.files : files;
        const notAfter = now + svidLifetime;
        return {
          issuedBy: from.certificatePem,
          believes: from.rootPem ?? '',
          notAfter,
          renewAt: now + svidLifetime / 2 + outage,
        };
      };
      for (let now = start; now < start + 5 * day; now += hour / 2) {
        const step = dueStep(files, { now, overlap, requested: taken === 0 && now >= start + day });
        if (step) {
          old = { files, until: now + lateness[taken % 3] };
          const next = after[step];
          files = next.rotation ? { ...next, rotation: { ...next.rotation, since: now } } : next;
          taken++;
        }
        for (const [index, { offset, outage }] of fleet.entries()) {
          const state = states[index];
          if (!state ? now >= start + offset : now >= state.renewAt) states[index] = issue(now, outage);
        }
        const valid = states.filter((state) => state && state.notAfter > now);
        for (const one of valid) {
          for (const other of valid) {
            if (!one.believes.includes(other.issuedBy)) throw new Error(`a stranger, ${(now - start) / hour} h on`);
          }
        }
      }
      expect(taken).toBe(3);
    }),
    { numRuns: 40 },
  );
});

test('over real TLS, proxies of each phase believe those of the phases beside it only', async () => {
  const clock = new ManualClock();
  const phases: AuthorityFiles[] = [await newFiles(clock)];
  for (const step of ['announce', 'sign', 'retire'] as const) {
    phases.push(await takeStep(step, phases.at(-1)!, { trustDomain, clock }));
  }
  const proxies: Credentials[] = [];
  for (const files of phases) proxies.push(await credentialsOf(await isReadable(files, clock), workload('front')));
  const issuers = proxies.map(({ certChainPem, bundlePem }) =>
    (bundlePem.match(/-----BEGIN[\s\S]+?END CERTIFICATE-----/g) ?? []).findIndex((root) =>
      new X509Certificate(certChainPem).verify(new X509Certificate(root).publicKey),
    ),
  );
  expect(issuers).toEqual([0, 0, 1, 0]);
  const believe = async (client: Credentials, server: Credentials) =>
    meet(client, server, trustDomain).then(
      () => '+',
      () => '-',
    );
  const rows: string[] = [];
  for (const client of proxies)
    rows.push((await Promise.all(proxies.map((server) => believe(client, server)))).join(''));
  expect(rows).toEqual(['++--', '+++-', '-+++', '--++']);
});
