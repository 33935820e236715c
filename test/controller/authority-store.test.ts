import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, test } from '@jest/globals';
import { type AuthorityFiles, createRoot, takeStep } from '../../runtime/identity/authority.ts';
import { ApiError } from '../../runtime/kubernetes/index.ts';
import { systemClock } from '../../runtime/model/index.ts';
import { FilePlace, namespace, type Place, SecretPlace, trustDomain } from './authority-stores.ts';

const options = { trustDomain, clock: systemClock };

async function newFiles(): Promise<AuthorityFiles> {
  const root = await createRoot(options);
  return { ...root, rootPem: root.certificatePem };
}

describe.each<[string, () => Place]>([
  ['files', () => new FilePlace()],
  ['a Secret', () => new SecretPlace()],
])('an authority in %s', (_what, place) => {
  it('is not there at first, and afterwards is what was written, of our own', async () => {
    using home = place();
    const store = home.open();
    expect(await store.read()).toBeUndefined();
    const files = await newFiles();
    expect(await store.create(files)).toBe(true);
    expect(await home.open().read()).toMatchObject({ files, managed: true, rotationRequested: false });
  });

  it('is that of the first, when several make one at once', async () => {
    using home = place();
    const all = await Promise.all([newFiles(), newFiles(), newFiles(), newFiles()]);
    const first = await Promise.all(all.map((files) => home.open().create(files)));
    expect(first.filter(Boolean)).toHaveLength(1);
    expect((await home.open().read())?.files).toEqual(all[first.indexOf(true)]);
  });

  it('goes through all phases of a change of root', async () => {
    using home = place();
    const store = home.open();
    let files = await newFiles();
    await store.create(files);
    for (const step of ['announce', 'sign', 'retire'] as const) {
      const before = await store.read();
      files = await takeStep(step, files, options);
      expect(await store.replace(files, before!)).toBe(true);
      const after = await home.open().read();
      expect(after?.files).toEqual(files);
      expect(after?.version).not.toBe(before?.version);
    }
  });

  it('is not replaced by who has read an older one', async () => {
    using home = place();
    const store = home.open();
    const [first, second, third] = await Promise.all([newFiles(), newFiles(), newFiles()]);
    await store.create(first);
    const seen = await store.read();
    expect(await home.open().replace(second, seen!)).toBe(true);
    expect(await store.replace(third, seen!)).toBe(false);
    expect((await store.read())?.files).toEqual(second);
  });
});

describe('a Secret', () => {
  it('has the layout of cert-manager, and a label that says whose it is', async () => {
    using home = new SecretPlace();
    const files = await newFiles();
    await home.open().create(files);
    expect(home.secret).toMatchObject({
      type: 'kubernetes.io/tls',
      metadata: { name: 'meshwright-ca', namespace, labels: { 'app.kubernetes.io/managed-by': 'meshwright' } },
    });
    expect(Object.keys(home.secret?.data as object)).toEqual(['tls.crt', 'tls.key', 'ca.crt']);
    expect(home.text('tls.crt')).toBe(files.certificatePem);
    expect(home.text('tls.key')).toBe(files.keyPem);
    expect(home.text('ca.crt')).toBe(files.rootPem);
  });

  it('without that label is read and never written', async () => {
    using home = new SecretPlace();
    const files = await newFiles();
    for (const labels of [undefined, { 'app.kubernetes.io/managed-by': 'Helm' }]) {
      home.put({ 'tls.crt': files.certificatePem, 'tls.key': files.keyPem, 'ca.crt': '' }, { labels });
      const store = home.open();
      const stored = await store.read();
      expect(stored).toMatchObject({ managed: false });
      expect(stored?.files).toEqual({ certificatePem: files.certificatePem, keyPem: files.keyPem });
      expect(await store.create(await newFiles())).toBe(false);
      expect(await store.replace(await newFiles(), stored!)).toBe(false);
      expect(home.text('tls.crt')).toBe(files.certificatePem);
    }
  });

  it('keeps what others have put on it, and loses the request once it is met', async () => {
    using home = new SecretPlace();
    const store = home.open();
    await store.create(await newFiles());
    expect(await store.requestRotation(Date.UTC(2026, 0, 1))).toBe(true);
    const { data, ...rest } = home.secret!;
    const annotations: Record<string, string> = { ...rest.metadata.annotations, 'example.com/backup': 'daily' };
    home.api.put({ ...rest, metadata: { ...rest.metadata, annotations }, data });
    expect(annotations['meshwright.dev/rotate']).toBe('2026-01-01T00:00:00.000Z');
    const stored = await store.read();
    expect(stored?.rotationRequested).toBe(true);
    await store.replace(stored!.files, stored!);
    expect(home.secret?.metadata.annotations).toEqual({ 'example.com/backup': 'daily' });
    expect((await store.read())?.rotationRequested).toBe(false);
  });

  it('that is not there cannot be asked for a new root', async () => {
    using home = new SecretPlace();
    expect(await home.open().requestRotation(0)).toBe(false);
    expect(home.writes).toBe(0);
  });

  test('refusals other than conflicts are told', async () => {
    using home = new SecretPlace();
    home.api.intercept = ({ verb }) => {
      if (verb === 'create') throw new ApiError('secrets is forbidden', { status: 403, reason: 'Forbidden' });
    };
    await expect(home.open().create(await newFiles())).rejects.toThrow('forbidden');
  });
});

describe('files', () => {
  const files = (home: FilePlace) => join(home.directory.path, trustDomain);

  it('are for our user only, and nothing else is left behind', async () => {
    using home = new FilePlace();
    const store = home.open();
    await store.create(await newFiles());
    await store.create(await newFiles());
    await store.replace(await newFiles(), (await store.read())!);
    expect(await readdir(home.directory.path)).toEqual([trustDomain]);
    expect((await stat(files(home))).mode & 0o777).toBe(0o700);
    for (const file of await readdir(files(home))) {
      expect((await stat(join(files(home), file))).mode & 0o777).toBe(0o600);
    }
  });

  it('of the first versions, without roots of their own, are read', async () => {
    using home = new FilePlace();
    const { certificatePem, keyPem } = await newFiles();
    await home.directory.write(join(trustDomain, 'ca.crt'), certificatePem);
    await home.directory.write(join(trustDomain, 'ca.key'), keyPem);
    expect(await home.open().read()).toMatchObject({ files: { certificatePem, keyPem }, managed: true });
  });

  it('are whole after a controller died while it changed them', async () => {
    using home = new FilePlace();
    const store = home.open();
    const [first, second] = await Promise.all([newFiles(), newFiles()]);
    await store.create(first);
    // As if it had ended between the two renames: the old ones are away, the next ones not yet in place.
    const next = new FilePlace();
    await next.open().create(second);
    await rename(files(home), join(home.directory.path, '.last-x'));
    await rename(files(next), join(home.directory.path, `.${trustDomain}.next`));
    next[Symbol.dispose]();
    expect((await home.open().read())?.files).toEqual(second);
    expect(await home.open().create(first)).toBe(false);
  });

  it.each(['ca.crt', 'ca.key'])('without %s are an error, not a reason for a new root', async (missing) => {
    using home = new FilePlace();
    await home.open().create(await newFiles());
    await rm(join(files(home), missing));
    await rm(join(files(home), 'roots.crt'));
    await expect(home.open().read()).rejects.toThrow(`MW1602 (${files(home)}): ${missing} missing`);
  });

  it('of an odd kind are an error', async () => {
    using home = new FilePlace();
    await mkdir(join(files(home), 'ca.crt'), { recursive: true });
    await expect(home.open().read()).rejects.toThrow('EISDIR');
    await rm(files(home), { recursive: true });
    await mkdir(files(home));
    await writeFile(join(files(home), 'ca.crt'), 'x'.repeat(300_000));
    await expect(home.open().read()).rejects.toThrow('MW1602');
  });
});
