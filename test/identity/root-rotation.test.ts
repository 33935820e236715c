import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
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

test('whenever two proxies were issued certificates, by controllers late or not, they believe each other while both are valid', async () => {
  const clock = new ManualClock();
  const begin = await newFiles(clock);
  const announced = await takeStep('announce', begin, { trustDomain, clock });
  const signing = await takeStep('sign', announced, { trustDomain, clock });
  const retired = await takeStep('retire', signing, { trustDomain, clock });
  const after: Partial<Record<RotationStep, AuthorityFiles>> = { announce: announced, sign: signing, retire: retired };

  /** How late a controller may read a change. */
  const lateness = 0.9 * hour;
  const issued: { readonly at: number; readonly by: AuthorityFiles }[] = [];
  let [files, before, changed, steps] = [begin, begin, 0, 0];
  for (let now = clock.wallTime(); steps < 3 || now < changed + 2 * day; now += hour / 5) {
    const requested = steps === 0 && now > clock.wallTime() + day;
    const step = dueStep(files, { now, overlap, requested });
    if (step) {
      const next = after[step] ?? begin;
      [before, changed] = [files, now];
      files = next.rotation ? { ...next, rotation: { ...next.rotation, since: now } } : next;
      steps++;
    }
    issued.push({ at: now, by: files });
    if (now - changed <= lateness) issued.push({ at: now, by: before });
  }
  const strangers = issued.flatMap((one) =>
    issued.filter(
      (other) => Math.abs(one.at - other.at) < svidLifetime && !one.by.rootPem?.includes(other.by.certificatePem),
    ),
  );
  expect(strangers).toEqual([]);
  expect(files.rootPem).toBe(retired.certificatePem);
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
