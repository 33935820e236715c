import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type Defence, defences, root } from './defences.ts';

/*
 * Takes out one defence after the other, in a copy of the checkout, and sees whether a test fails. An argument chooses
 * those whose attack contains it. Ends with 1 where one was not missed, or is not where the list says.
 */

/** Milliseconds for the tests of one defence: without it some wait for what never comes. */
const patience = 120_000;

const copy = mkdtempSync(join(tmpdir(), 'meshwright-defences-'));
process.on('exit', () => rmSync(copy, { recursive: true, force: true }));
const left = new Set(['node_modules', '.git']);
cpSync(root, copy, { recursive: true, filter: (source) => !left.has(basename(source)) });
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));

/** How the tests ended: their exit code, `null` when they took too long. */
async function runTests({ tests, only }: Defence): Promise<number | null> {
  const jest = ['node_modules/jest/bin/jest.js', '--silent', '--forceExit', '--testTimeout', '3000', ...tests];
  const args = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', ...jest];
  const child = spawn(process.execPath, only ? [...args, '-t', only] : args, {
    cwd: copy,
    stdio: 'ignore',
    timeout: patience,
    killSignal: 'SIGKILL',
  });
  const [code] = await once(child, 'close');
  return code;
}

const [wanted = ''] = process.argv.slice(2);
let unnoticed = 0;
for (const each of defences.filter(({ attack }) => attack.includes(wanted))) {
  const path = join(copy, each.file);
  const source = readFileSync(path, 'utf8');
  if (!source.includes(each.defence)) {
    unnoticed++;
    console.log(`NOT FOUND    ${each.attack} (${each.file}): the list must say where it is now`);
    continue;
  }
  writeFileSync(
    path,
    source.replace(each.defence, () => each.instead),
  );
  const code = await runTests(each);
  writeFileSync(path, source);
  if (code === 0) unnoticed++;
  console.log(`${code === 0 ? 'NOT NOTICED' : 'noticed    '}  ${each.attack} (${each.file})`);
}
process.exitCode = unnoticed > 0 ? 1 : 0;
