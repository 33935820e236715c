import { appendFile, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createFileProvider } from '../../runtime/controller/files/file-provider.ts';
import type { Provider } from '../../runtime/controller/provider.ts';
import { systemClock } from '../../runtime/model/index.ts';
import type { Manifest } from '../../runtime/resources/index.ts';
import { eventually } from '../support/eventually.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const account = (name: string) => `apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: ${name} }\n`;
const names = ({ objects }: Manifest) => objects.map(({ metadata }) => metadata.name);

let directory: TemporaryDirectory;
let provider: Provider | undefined;
let seen: Manifest[];

/** Reads the directory and watches it. */
async function start(...directories: string[]): Promise<Manifest> {
  provider = createFileProvider({
    directories: directories.length ? directories : [directory.path],
    clock: systemClock,
  });
  const first = await provider.read();
  seen = [first];
  provider.watch((manifest) => seen.push(manifest));
  return first;
}

const newest = () => seen[seen.length - 1];
const untilNames = (...expected: string[]) => eventually(() => names(newest()).join() === expected.join());

beforeEach(() => {
  directory = new TemporaryDirectory();
});

afterEach(async () => {
  await provider?.close();
  provider = undefined;
  directory[Symbol.dispose]();
});

describe('the file provider', () => {
  it('reads every document of every manifest below a directory, and nothing else', async () => {
    await directory.write('b.yaml', `---\n${account('b1')}---\n# nothing\n---\n${account('b2')}`);
    await directory.write('a/deep/a.json', JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [] }));
    await directory.write('a/a.yml', account('a'));
    await directory.write('notes.txt', 'kind: [');
    await directory.write('.hidden.yaml', 'kind: [');
    expect(await start()).toMatchObject({ findings: [] });
    expect(names(newest())).toStrictEqual(['a', 'b1', 'b2']);
  });

  it('tells of files that are added, changed and removed, also in new directories', async () => {
    const a = await directory.write('a.yaml', account('a'));
    await start();
    await directory.write('new/b.yaml', account('b'));
    await untilNames('a', 'b');
    await directory.write('a.yaml', account('c'));
    await untilNames('c', 'b');
    await rm(a);
    await untilNames('b');
  });

  it('notices a change long before it would look by itself', async () => {
    await start();
    const before = performance.now();
    await directory.write('a.yaml', account('a'));
    await untilNames('a');
    expect(performance.now() - before).toBeLessThan(1500);
  });

  it('tells nothing where nothing changed', async () => {
    await directory.write('a.yaml', account('a'));
    await start();
    await directory.write('ignored.txt', 'x');
    await directory.write('b.yaml', account('b'));
    await untilNames('a', 'b');
    expect(seen).toHaveLength(2);
  });

  it('keeps the last good version of a file that does not parse, with file and line of the mistake', async () => {
    const path = await directory.write('a.yaml', account('a'));
    await directory.write('b.yaml', account('b'));
    await start();
    await directory.write('a.yaml', `${account('new')}---\n# comment\nkind: [\n`);
    await eventually(() => newest().findings.length);
    expect(names(newest())).toStrictEqual(['a', 'b']);
    expect(newest().findings).toMatchObject([{ id: 'MW1001', severity: 'error', object: `${path}:7` }]);
    await directory.write('a.yaml', account('mended'));
    await untilNames('mended', 'b');
    expect(newest().findings).toStrictEqual([]);
  });

  it('keeps the last good version of a file with an object that does not fit its schema', async () => {
    const policy = (action: string) =>
      `apiVersion: meshwright.dev/v1alpha1\nkind: AccessPolicy\nmetadata: { name: a }\nspec: { targetRefs: [{ group: '', kind: Service, name: a }], rules: [{ action: ${action} }] }\n`;
    const path = await directory.write('a.yaml', `${account('a')}---\n${policy('Deny')}`);
    await start();
    await directory.write('a.yaml', `${account('a')}---\n${policy('deny')}`);
    await eventually(() => newest().findings.length);
    expect(newest().objects).toMatchObject([{}, { spec: { rules: [{ action: 'Deny' }] } }]);
    expect(newest().findings).toMatchObject([
      { id: 'MW1002', object: `AccessPolicy default/a spec.rules[0].action (${path}:5)` },
    ]);
  });

  it('takes what is good of a file that never was good as a whole', async () => {
    await directory.write('a.yaml', `${account('a')}---\nkind: [\n`);
    await start();
    expect(names(newest())).toStrictEqual(['a']);
    expect(newest().findings).toMatchObject([{ id: 'MW1001' }]);
  });

  it('repeats warnings of documents that did not change', async () => {
    await directory.write('a.yaml', `apiVersion: meshwright.dev/v9\nkind: Mesh\n---\n${account('a')}`);
    await start();
    await appendFile(join(directory.path, 'a.yaml'), `---\n${account('b')}`);
    await untilNames('a', 'b');
    expect(newest().findings).toMatchObject([{ id: 'MW1003' }]);
  });

  it('refuses files that are too large and documents that would expand without end', async () => {
    await directory.write('large.yaml', `# ${'x'.repeat(17 << 20)}\n${account('large')}`);
    const bomb = [...'bcdefghij'].map((name, index) => `${name}: &${name} [${`*${'abcdefghij'[index]},`.repeat(9)}]`);
    await directory.write('bomb.yaml', `a: &a [x]\n${bomb.join('\n')}\n`);
    const { objects, findings } = await start();
    expect(objects).toStrictEqual([]);
    expect(findings).toMatchObject([{ id: 'MW1001' }, { id: 'MW1005' }]);
  });

  it('waits for a directory that is not there yet, and follows one that is replaced', async () => {
    const later = join(directory.path, 'later');
    await start(later);
    expect(newest().objects).toStrictEqual([]);
    await mkdir(later);
    await writeFile(join(later, 'a.yaml'), account('a'));
    await untilNames('a');
    await directory.write('next/b.yaml', account('b'));
    await rm(later, { recursive: true });
    await rename(join(directory.path, 'next'), later);
    await untilNames('b');
    await writeFile(join(later, 'c.yaml'), account('c'));
    await untilNames('b', 'c');
  });

  it('follows links, but not in circles', async () => {
    await directory.write('real/a.yaml', account('a'));
    await symlink('..', join(directory.path, 'real/circle'));
    expect(names(await start(join(directory.path, 'real')))).toContain('a');
  });
});
