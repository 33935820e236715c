import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { applyRules, defaultRedirect, redirectRules } from '../../runtime/interception/index.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

let directory: TemporaryDirectory;
beforeEach(() => {
  directory = new TemporaryDirectory();
});
afterEach(() => directory[Symbol.dispose]());

/** A program in the place of nft. */
async function nft(script: string): Promise<string> {
  const path = await directory.write('nft', `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o700);
  return path;
}

const rules = redirectRules(defaultRedirect);

describe('applying rules', () => {
  it('gives all of them to nft at once', async () => {
    await applyRules(rules, await nft(`cat > '${join(directory.path, 'taken')}'`));
    expect(await readFile(join(directory.path, 'taken'), 'utf8')).toBe(rules);
  });

  it.each([
    ['Operation not permitted', 'This needs the capability NET_ADMIN'],
    ['Could not process rule: No such file or directory', 'The kernel of this node lacks nftables with NAT'],
    ['syntax error, unexpected end of file', 'connections cannot be redirected: syntax error'],
  ])('tells what to do where nft says: %s', async (words, told) => {
    await expect(applyRules(rules, await nft(`echo '${words}' >&2; exit 1`))).rejects.toThrow(told);
  });

  it('tells that nft is missing', async () => {
    const attempt = applyRules(rules, join(directory.path, 'nowhere'));
    await expect(attempt).rejects.toThrow('The program nft (package nftables) is not in PATH.');
  });

  it('tells the code of an nft that says nothing', async () => {
    await expect(applyRules(rules, await nft('exit 3'))).rejects.toThrow('nft ended with code 3');
  });
});
