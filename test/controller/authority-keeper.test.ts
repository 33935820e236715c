import { createPrivateKey } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { AuthorityKeeper } from '../../runtime/controller/authority/authority-keeper.ts';
import { watchAuthority } from '../../runtime/controller/authority/watch-authority.ts';
import { type AuthorityFiles, createCertificateRequest, createRoot } from '../../runtime/identity/authority.ts';
import { type Clock, FindingsError, systemClock } from '../../runtime/model/index.ts';
import { authorityExtensions, ownAuthority } from '../identity/openssl-authority.ts';
import { credentialsOf, meet } from '../identity/tls-pair.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { FilePlace, namespace, type Place, SecretPlace, trustDomain } from './authority-stores.ts';

const hour = 3_600_000;
const year = 365 * 24 * hour;
const front = { trustDomain, namespace: 'shop', serviceAccount: 'front' };

/** A logger that keeps everything as text. */
function journal() {
  const lines: string[] = [];
  const write = (details: object, message: string) => lines.push(`${message} ${JSON.stringify(details)}`);
  return { lines, logger: { info: write, warn: write } };
}

async function keeperOf(home: Place, options: { clock?: Clock; overlap?: number } = {}) {
  const { lines, logger } = journal();
  const { clock = systemClock, overlap } = options;
  const keeper = await AuthorityKeeper.open({ store: home.open(), trustDomain, clock, logger, overlap });
  return { keeper, lines };
}

/** Whether a text tells anything of a key, wherever its lines are broken. */
function tells(text: string, keyPem: string): boolean {
  const der = createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' });
  // After what all keys of the kind begin with.
  return text.replaceAll(/\\n|\n/g, '').includes(der.toString('base64').slice(50, 80));
}

const root = ownAuthority({ subject: '/CN=Root' });
const mesh = ownAuthority({ subject: '/CN=Mesh', issuer: root, days: 90 });
const certManager = { 'tls.crt': mesh.certificatePem, 'tls.key': mesh.keyPem, 'ca.crt': root.certificatePem };

describe.each<[string, () => Place]>([
  ['files', () => new FilePlace()],
  ['a Secret', () => new SecretPlace()],
])('the authority, kept in %s,', (_what, place) => {
  it('is one, though several controllers start at once', async () => {
    using home = place();
    const keepers = await Promise.all([1, 2, 3].map(() => keeperOf(home)));
    expect(new Set(keepers.map(({ keeper }) => keeper.bundlePem)).size).toBe(1);
    const [one, other] = await Promise.all(keepers.slice(1).map(({ keeper }) => credentialsOf(keeper, front)));
    expect(await meet(one, other, trustDomain)).toContain('sa/front');
    expect((await keeperOf(home)).keeper.bundlePem).toBe(one.bundlePem);
  });

  it('renews its root by itself before it expires: one after the other believes both, signs, believes the new', async () => {
    using home = place();
    const clock = new ManualClock();
    const { keeper } = await keeperOf(home, { clock });
    const first = keeper.describe();
    expect(first).toMatchObject({ phase: 'steady', managed: true, trustDomain });
    await keeper.advance();
    expect(keeper.describe()).toEqual(first);

    clock.advance(8.1 * year);
    await keeper.advance();
    expect(keeper.describe()).toMatchObject({ phase: 'announced', issuer: first.issuer, phaseSince: clock.wallTime() });
    expect(keeper.describe().phaseEnd).toBe(clock.wallTime() + 25 * hour);
    expect(keeper.describe().roots).toHaveLength(2);
    clock.advance(24.9 * hour);
    await keeper.advance();
    expect(keeper.describe().phase).toBe('announced');
    clock.advance(0.2 * hour);
    await keeper.advance();
    expect(keeper.describe()).toMatchObject({ phase: 'retiring', roots: [first.issuer, keeper.describe().issuer] });
    clock.advance(25 * hour);
    await keeper.advance();
    expect(keeper.describe()).toMatchObject({ phase: 'steady', roots: [keeper.describe().issuer] });
    expect(keeper.describe().issuer.fingerprint).not.toBe(first.issuer.fingerprint);
    expect(keeper.describe().phaseEnd).toBeUndefined();
    expect(keeper.findings()).toEqual([]);
    expect((await keeperOf(home, { clock })).keeper.bundlePem).toBe(keeper.bundlePem);
  });

  it('is begun anew when it has expired, while nobody was there or before the eyes of a leader', async () => {
    using home = place();
    const clock = new ManualClock();
    const { keeper, lines } = await keeperOf(home, { clock });
    clock.advance(11 * year);
    expect(keeper.findings()).toMatchObject([{ id: 'MW1607' }]);
    const { csrPem } = createCertificateRequest();
    await expect(keeper.sign(csrPem, front)).rejects.toThrow('expired');
    const late = await keeperOf(home, { clock });
    await keeper.reload();
    for (const one of [keeper, late.keeper]) {
      expect(one.findings()).toEqual([]);
      expect(one.bundlePem).toBe(keeper.bundlePem);
      expect(await one.sign(csrPem, front)).toBeDefined();
    }
    expect(lines.join('\n')).toContain('MW1609');
    clock.advance(11 * year);
    await keeper.advance();
    expect(keeper.findings()).toEqual([]);
  });

  it('is never told in a log, nor in a description', async () => {
    using home = place();
    const clock = new ManualClock();
    const { keeper, lines } = await keeperOf(home, { clock });
    const keys: string[] = [];
    clock.advance(9 * year);
    for (let step = 0; step < 3; step++) {
      await keeper.advance();
      const { files } = (await home.open().read())!;
      keys.push(files.keyPem, ...(files.rotation?.phase === 'announced' ? [files.rotation.keyPem] : []));
      lines.push(JSON.stringify([keeper.describe(), keeper.findings(), keeper]));
      clock.advance(26 * hour);
    }
    expect(new Set(keys).size).toBe(2);
    expect(lines.length).toBeGreaterThan(6);
    for (const key of keys) expect(tells(lines.join('\n'), key)).toBe(false);
    expect(tells(JSON.stringify({ keys }), keys[0])).toBe(true);
    expect(lines.join('\n')).not.toContain('PRIVATE KEY');
  });
});

it('of the user, kept in files, is not changed, however old it is', async () => {
  using home = new FilePlace();
  await home.directory.write(`${trustDomain}/ca.crt`, mesh.certificatePem);
  await home.directory.write(`${trustDomain}/ca.key`, mesh.keyPem);
  await home.directory.write(`${trustDomain}/roots.crt`, root.certificatePem);
  const clock = new ManualClock();
  const { keeper } = await keeperOf(home, { clock });
  const before = keeper.describe();
  expect(before).toMatchObject({ managed: false, issuer: { subject: 'CN=Mesh' }, root: { subject: 'CN=Root' } });
  clock.advance(11 * year);
  await keeper.advance();
  expect((await keeperOf(home, { clock })).keeper.describe()).toEqual(before);
});

describe('a Secret of the user', () => {
  it('of cert-manager works as it is, and is not written, however old it is', async () => {
    using home = new SecretPlace();
    home.put(certManager, { annotations: { 'cert-manager.io/issuer-name': 'corp' } });
    const clock = new ManualClock();
    const { keeper } = await keeperOf(home, { clock });
    expect(keeper.describe()).toMatchObject({ managed: false, issuer: { subject: 'CN=Mesh' } });
    const credentials = await credentialsOf(keeper, front);
    expect(await meet(credentials, credentials, trustDomain)).toContain('sa/front');
    clock.advance(11 * year);
    await keeper.reload();
    await keeper.advance();
    expect(home.writes).toBe(0);
    expect(keeper.findings().map(({ id }) => id)).toEqual(['MW1607', 'MW1607']);
  });

  it('that was renewed is taken up while running, and listeners hear of it', async () => {
    using home = new SecretPlace();
    home.put(certManager);
    const { keeper, lines } = await keeperOf(home);
    let changes = 0;
    const stop = keeper.onChange(() => changes++);
    await keeper.reload();
    expect(changes).toBe(0);
    const before = await credentialsOf(keeper, front);
    const renewed = ownAuthority({ subject: '/CN=Renewed', issuer: root, key: 'rsa:2048' });
    home.put({ ...certManager, 'tls.crt': renewed.certificatePem, 'tls.key': renewed.keyPem });
    await keeper.reload();
    expect(changes).toBe(1);
    expect(keeper.describe().issuer.subject).toBe('CN=Renewed');
    expect(await meet(before, await credentialsOf(keeper, front), trustDomain)).toContain('sa/front');
    expect(lines.join('\n')).not.toContain('MW1609');
    stop();
    home.put(certManager);
    await keeper.reload();
    expect(changes).toBe(1);
    expect(keeper.describe().issuer.subject).toBe('CN=Mesh');
  });

  it('with another root is taken up with a warning; with both roots, as the guide says, without', async () => {
    using home = new SecretPlace();
    home.put(certManager);
    const other = ownAuthority({ subject: '/CN=Other' });
    const both = root.certificatePem + other.certificatePem;
    const otherSigns = { 'tls.crt': other.certificatePem, 'tls.key': other.keyPem };
    const { keeper, lines } = await keeperOf(home);
    for (const data of [{ ...certManager, 'ca.crt': both }, { ...otherSigns, 'ca.crt': both }, { ...otherSigns }]) {
      home.put(data);
      await keeper.reload();
    }
    expect(keeper.describe().roots).toMatchObject([{ subject: 'CN=Other' }]);
    expect(lines.join('\n')).not.toContain('MW1609');
    home.put(certManager);
    await keeper.reload();
    expect(lines.join('\n')).toContain('MW1609');
    expect(keeper.describe().issuer.subject).toBe('CN=Mesh');
  });

  it('of another trust domain is told of, and the last good one goes on', async () => {
    using home = new SecretPlace();
    home.put(certManager);
    const { keeper, lines } = await keeperOf(home);
    const uri = 'subjectAltName=URI:spiffe://corp.example';
    const corp = ownAuthority({ subject: '/CN=Corp', extensions: [...authorityExtensions, uri] });
    home.put({ 'tls.crt': corp.certificatePem, 'tls.key': corp.keyPem });
    await keeper.reload();
    await keeper.reload();
    expect(keeper.findings()).toMatchObject([{ id: 'MW1606', object: `Secret ${namespace}/meshwright-ca` }]);
    expect(lines.filter((line) => line.includes('MW1606'))).toHaveLength(1);
    expect(await credentialsOf(keeper, front)).toMatchObject({ bundlePem: keeper.bundlePem });
    expect(keeper.describe().issuer.subject).toBe('CN=Mesh');
    home.put(certManager);
    await keeper.reload();
    expect(keeper.findings()).toEqual([]);
  });

  it('cannot be asked for a new root, and says so as long as it is asked', async () => {
    using home = new SecretPlace();
    home.put(certManager, { annotations: { 'meshwright.dev/rotate': 'now' } });
    const { keeper } = await keeperOf(home);
    await keeper.reload();
    await keeper.advance();
    expect(keeper.findings()).toMatchObject([{ id: 'MW1611' }]);
    expect(home.writes).toBe(0);
    home.put(certManager);
    await keeper.reload();
    expect(keeper.findings()).toEqual([]);
  });

  it('takes the place of our own, also where our label and our notes are left in it', async () => {
    using home = new SecretPlace();
    const clock = new ManualClock();
    const { keeper } = await keeperOf(home, { clock });
    expect(keeper.describe().managed).toBe(true);
    await home.open().requestRotation(clock.wallTime());
    await keeper.reload();
    await keeper.advance();
    expect(keeper.describe().phase).toBe('announced');
    for (const [name, text] of Object.entries(certManager)) home.change(name, text);
    const { writes } = home;
    await keeper.reload();
    expect(keeper.describe()).toMatchObject({ managed: false, phase: 'steady', issuer: { subject: 'CN=Mesh' } });
    expect(keeper.findings()).toEqual([]);
    clock.advance(11 * year);
    await keeper.advance();
    expect(home.writes).toBe(writes);
  });
});

describe('what is in the Secret but no authority', () => {
  const good = async (): Promise<AuthorityFiles> => createRoot({ trustDomain, clock: systemClock });
  const names = ['tls.crt', 'tls.key', 'ca.crt', 'rotation.json'] as const;
  const own = ownAuthority({ subject: '/CN=Own' });
  const texts = fc.oneof(
    fc.constantFrom('', 'null', '{}', '[]', own.certificatePem, own.keyPem, mesh.certificatePem),
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc
      .base64String({ maxLength: 400 })
      .map((body) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`),
    fc
      .base64String({ maxLength: 400 })
      .map((body) => `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`),
    // A good text with one octet changed.
    fc
      .tuple(fc.constantFrom(own.certificatePem, own.keyPem), fc.nat(), fc.base64String({ minLength: 4 }))
      .map(([text, at, other]) => text.slice(0, at % text.length) + other[0] + text.slice((at % text.length) + 1)),
    fc.constantFrom('announced', 'retiring').map((phase) => JSON.stringify({ phase, since: new Date(0) })),
    fc.constant(
      JSON.stringify({ phase: 'announced', since: new Date(0), certificate: own.certificatePem, key: mesh.keyPem }),
    ),
  );
  /** Some of the texts; what is not given is left away. */
  const garbage = fc.record(
    Object.fromEntries(names.map((name) => [name, fc.option(texts, { nil: undefined, freq: 8 })])),
  );

  it('is a clear error at the start, and never a new root', async () => {
    await fc.assert(
      fc.asyncProperty(garbage, fc.boolean(), async (data, managed) => {
        using home = new SecretPlace();
        home.put(data, managed ? { labels: { 'app.kubernetes.io/managed-by': 'meshwright' } } : {});
        const before = JSON.stringify(home.secret);
        const error = await keeperOf(home).then(
          // What was left of the good texts may fit after all.
          ({ keeper }) => keeper.describe() && undefined,
          (reason: unknown) => reason,
        );
        if (error !== undefined) {
          expect(error).toBeInstanceOf(FindingsError);
          const { findings, message } = error as FindingsError;
          expect(findings.every(({ id, object }) => /^MW160[2-6]$/.test(id) && object?.startsWith('Secret'))).toBe(
            true,
          );
          expect(tells(message, own.keyPem)).toBe(false);
          expect(tells(message, mesh.keyPem)).toBe(false);
        } else {
          expect(data['tls.crt']).toContain('BEGIN CERTIFICATE');
        }
        expect(JSON.stringify(home.secret)).toBe(before);
        expect(home.writes).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it('leaves a controller that runs with what it had, until it is mended', async () => {
    await fc.assert(
      fc.asyncProperty(garbage, async (data) => {
        using home = new SecretPlace();
        const { certificatePem, keyPem } = await good();
        const labels = { 'app.kubernetes.io/managed-by': 'meshwright' };
        const mended = { 'tls.crt': certificatePem, 'tls.key': keyPem };
        home.put(mended, { labels });
        const { keeper } = await keeperOf(home);
        home.put({ ...data, 'tls.crt': data['tls.crt'] ?? 'x' }, { labels });
        await keeper.reload();
        await keeper.advance();
        if (keeper.findings().length > 0) expect(keeper.bundlePem).toBe(certificatePem);
        expect(await credentialsOf(keeper, front)).toBeDefined();
        home.put(mended, { labels });
        await keeper.reload();
        expect(keeper.findings()).toEqual([]);
        expect(keeper.bundlePem).toBe(certificatePem);
      }),
      { numRuns: 60 },
    );
  });
});

describe('a Secret of our own', () => {
  it('that somebody removed is not made again by a controller that runs, which goes on', async () => {
    using home = new SecretPlace();
    const { keeper } = await keeperOf(home);
    const { writes } = home;
    home.api.delete('Secret', 'meshwright-ca', namespace);
    await keeper.reload();
    await keeper.advance();
    expect(keeper.findings()).toMatchObject([{ id: 'MW1610' }]);
    expect(home.writes).toBe(writes);
    expect(await credentialsOf(keeper, front)).toBeDefined();
  });

  it('that is asked for a new root begins to change it, once', async () => {
    using home = new SecretPlace();
    const clock = new ManualClock();
    const { keeper } = await keeperOf(home, { clock });
    await home.open().requestRotation(clock.wallTime());
    await keeper.reload();
    await keeper.advance();
    expect(keeper.describe().phase).toBe('announced');
    expect(home.secret?.metadata.annotations).toEqual({});
    for (const phase of ['retiring', 'steady', 'steady']) {
      clock.advance(26 * hour);
      await keeper.advance();
      expect(keeper.describe().phase).toBe(phase);
    }
  });

  it('that has expired is replaced by one of the controllers that start at once', async () => {
    using home = new SecretPlace();
    const clock = new ManualClock();
    await keeperOf(home, { clock });
    clock.advance(11 * year);
    const { writes } = home;
    const keepers = await Promise.all([1, 2, 3].map(() => keeperOf(home, { clock })));
    expect(new Set(keepers.map(({ keeper }) => keeper.bundlePem)).size).toBe(1);
    expect(keepers[0].keeper.findings()).toEqual([]);
    expect(home.writes).toBeGreaterThan(writes);
  });

  it('is changed by one leader only, though another one still believes to be it', async () => {
    using home = new SecretPlace();
    const clock = new ManualClock();
    const [one, other] = [(await keeperOf(home, { clock })).keeper, (await keeperOf(home, { clock })).keeper];
    clock.advance(9 * year);
    await Promise.all([one.advance(), other.advance()]);
    await Promise.all([one.reload(), other.reload()]);
    expect(one.describe()).toEqual(other.describe());
    expect(one.describe()).toMatchObject({ phase: 'announced' });
    expect(one.describe().roots).toHaveLength(2);
    expect(JSON.parse(home.text('rotation.json'))).toMatchObject({ phase: 'announced' });
  });

  it('tells the time of a rotation that somebody changed to nonsense', async () => {
    using home = new SecretPlace();
    const { keeper } = await keeperOf(home);
    home.change('rotation.json', JSON.stringify({ phase: 'retiring', since: 'yesterday' }));
    await keeper.reload();
    expect(keeper.findings()).toMatchObject([{ id: 'MW1602', message: expect.stringContaining('rotation.json') }]);
  });
});

describe('while it runs, a controller', () => {
  it('looks every minute; only the leader changes anything; a server that is away changes nothing', async () => {
    using home = new SecretPlace();
    const clock = new ManualClock();
    const { lines, logger } = journal();
    const keeper = await AuthorityKeeper.open({ store: home.open(), trustDomain, clock, logger });
    let leader = false;
    const watch = watchAuthority({ keeper, isLeader: () => leader, clock, logger });
    const looks = () => home.api.calls.filter(({ verb }) => verb === 'read').length;
    /** Lets a minute pass, and waits for what it brings. */
    const minute = async () => {
      const before = { looks: looks(), scheduled: clock.scheduled };
      clock.advance(60_000);
      await eventually(() => looks() > before.looks && clock.scheduled > before.scheduled);
    };
    await eventually(() => clock.scheduled === 1);
    await home.open().requestRotation(clock.wallTime());
    await minute();
    expect(keeper.describe().phase).toBe('steady');
    home.api.down = true;
    await minute();
    expect(lines.at(-1)).toContain('the authority was not read {"reason":"connect ECONNREFUSED"}');
    home.api.down = false;
    leader = true;
    await minute();
    expect(keeper.describe().phase).toBe('announced');
    watch.close();
    const last = looks();
    clock.advance(hour);
    await new Promise((resolve) => setImmediate(resolve));
    expect(looks()).toBe(last);
  });
});
