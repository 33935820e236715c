import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type TarEntry, tar, withDirectories } from '../../image/tar.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

function file(path: string, content: Uint8Array, mode = 0o644): TarEntry {
  return { type: 'file', path, mode, content: [content] };
}

/** What `tar` makes of the archive, in a directory of the test. */
function unpack(directory: string, entries: readonly TarEntry[]): void {
  writeFileSync(join(directory, 'x.tar'), Buffer.concat(tar(entries)));
  execFileSync('tar', ['-xpf', join(directory, 'x.tar'), '-C', directory, '--no-same-owner']);
}

it('writes files that tar reads back', () => {
  const name = fc.stringMatching(/^[a-z0-9._é-]{1,60}$/).filter((name) => !/^\.+$/.test(name));
  const contents = fc.dictionary(
    fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => `d/${parts.join('/')}x`),
    fc.uint8Array({ maxLength: 1100 }),
    { minKeys: 1, maxKeys: 4 },
  );
  fc.assert(
    fc.property(contents, (files) => {
      const paths = Object.keys(files);
      fc.pre(!paths.some((path) => paths.some((other) => other.startsWith(`${path}/`))));
      using directory = new TemporaryDirectory();
      unpack(directory.path, withDirectories(paths.map((path) => file(path, files[path]))));
      for (const path of paths) expect(readFileSync(join(directory.path, path))).toEqual(Buffer.from(files[path]));
    }),
    { numRuns: 30 },
  );
});

it('keeps modes, and gives directories that nobody named one that all may enter', () => {
  using directory = new TemporaryDirectory();
  const sticky: TarEntry = { type: 'directory', path: 'tmp', mode: 0o1777 };
  unpack(directory.path, withDirectories([file('bin/run', Buffer.from('x'), 0o755), sticky]));
  const mode = (path: string) => statSync(join(directory.path, path)).mode & 0o7777;
  expect([mode('bin'), mode('bin/run'), mode('tmp')]).toEqual([0o755, 0o755, 0o1777]);
});

it('depends on nothing but the entries, and not on their order', () => {
  const entries = [file('b/two', Buffer.from('2')), file('a', Buffer.from('1'))];
  const archive = Buffer.concat(tar(withDirectories(entries)));
  expect(Buffer.concat(tar(withDirectories(entries.toReversed()))).equals(archive)).toBe(true);
});

it('refuses a path that the format cannot say', () => {
  expect(() => tar([file('x'.repeat(101), Buffer.of())])).toThrow('path too long for a tar archive: "xxx');
});
