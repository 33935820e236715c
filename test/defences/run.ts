import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type Defence, defences, root } from './defences.ts';

/*
 * Takes out one defence after the other, in a copy of the checkout, and sees whether a test fails. An argument chooses
 * those whose attack contains it. Ends with 1 where one was not missed, or nothing can be said of it: it is not where the
 * list says, what stands there instead cannot be loaded, or the tests came to no end.
 */

/** Milliseconds for the tests of one defence: without it some wait for what never comes. */
const patience = 120_000;

const copy = mkdtempSync(join(tmpdir(), 'meshwright-defences-'));
process.on('exit', () => rmSync(copy, { recursive: true, force: true }));
const left = new Set(['node_modules', '.git']);
cpSync(root, copy, { recursive: true, filter: (source) => !left.has(basename(source)) });
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));

/** What jest writes of a run, as far as it counts here. */
interface Results {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  /** Files that could not be loaded. */
  readonly numRuntimeErrorTestSuites: number;
}

const report = join(copy, 'defences-report.json');

/** How the tests ended, in capitals where that does not show that they miss the defence. */
async function runTests({ tests, only }: Defence): Promise<string> {
  rmSync(report, { force: true });
  const options = ['--silent', '--forceExit', '--testTimeout', '3000', '--json', '--outputFile', report];
  const jest = ['node_modules/jest/bin/jest.js', ...options, ...tests];
  const args = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', ...jest];
  const child = spawn(process.execPath, only ? [...args, '-t', only] : args, {
    cwd: copy,
    stdio: 'ignore',
    timeout: patience,
    killSignal: 'SIGKILL',
  });
  const [code] = await once(child, 'close');
  if (code === null) return 'TIMED OUT';
  if (!existsSync(report)) return 'DID NOT RUN';
  const results: Results = JSON.parse(readFileSync(report, 'utf8'));
  if (results.numRuntimeErrorTestSuites > 0) return 'DID NOT COMPILE';
  if (results.numFailedTests > 0) return 'noticed';
  return results.numPassedTests > 0 ? 'NOT NOTICED' : 'RAN NO TEST';
}

const [wanted = ''] = process.argv.slice(2);
for (const each of defences.filter(({ attack }) => attack.includes(wanted))) {
  const path = join(copy, each.file);
  const source = readFileSync(path, 'utf8');
  let outcome = 'NOT FOUND';
  if (source.includes(each.defence)) {
    const without = source.replace(each.defence, () => each.instead);
    writeFileSync(path, without);
    outcome = await runTests(each);
    writeFileSync(path, source);
  }
  if (outcome !== 'noticed') process.exitCode = 1;
  console.log(`${outcome.padEnd(15)}  ${each.attack} (${each.file})`);
}
