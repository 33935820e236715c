import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import { Guardian } from '../../runtime/local/guardian.ts';
import { LogFile } from '../../runtime/local/log-file.ts';
import { ManagedProcess } from '../../runtime/local/managed-process.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { isRunning } from './ps.ts';

/** A process under supervision, with what happened to it. */
class Supervised implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly guardian = new Guardian();
  readonly directory = new TemporaryDirectory();
  readonly log = new LogFile(join(this.directory.path, 'log'));
  readonly crashes: { readonly reason: string; readonly delay: number }[] = [];
  readonly process: ManagedProcess;

  constructor(program: string) {
    this.process = new ManagedProcess(
      { name: 'program', command: [process.execPath, '-e', program], env: process.env, cwd: '/' },
      {
        clock: this.clock,
        guardian: this.guardian,
        log: this.log,
        onCrash: (reason, delay) => this.crashes.push({ reason, delay }),
      },
    );
    this.process.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.guardian.close();
    this.log.close();
    this.directory[Symbol.dispose]();
  }
}

const forever = 'console.log("up"); setInterval(() => {}, 1000)';

it('starts a process that ends again and again, each time later, up to a limit', async () => {
  await using supervised = new Supervised('process.exit(7)');
  const { clock, crashes } = supervised;
  for (let round = 1; round <= 9; round++) {
    await eventually(() => crashes.length === round);
    clock.advance(crashes[round - 1].delay);
  }
  expect(crashes.map(({ delay }) => delay)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  expect(crashes[0].reason).toBe('ended with code 7');
  await supervised.process.stop(0);
});

it('is quick again after a process has been up for a while', async () => {
  await using supervised = new Supervised(forever);
  const { clock, crashes, process: managed } = supervised;
  const crash = async (round: number) => {
    process.kill(managed.pid!, 'SIGKILL');
    await eventually(() => crashes.length === round);
  };
  await crash(1);
  clock.advance(100);
  await crash(2);
  clock.advance(200);
  clock.advance(10_000);
  await crash(3);
  expect(crashes.map(({ delay }) => delay)).toEqual([100, 200, 100]);
  await managed.stop(0);
});

it('does not start a process again that it was asked to stop', async () => {
  await using supervised = new Supervised(forever);
  await supervised.process.stop(1000);
  supervised.clock.advance(60_000);
  expect(supervised.process.pid).toBeUndefined();
  expect(supervised.crashes).toEqual([]);
});

it('kills a process that does not care about being asked, after the grace time', async () => {
  await using supervised = new Supervised(`process.on('SIGTERM', () => console.log('no')); ${forever}`);
  const { process: managed, clock, log } = supervised;
  await eventually(() => log.tail(1)[0] === 'up');
  const stopped = managed.stop(5000);
  await eventually(() => log.tail(1)[0] === 'no');
  clock.advance(4999);
  expect(isRunning(managed.pid!)).toBe(true);
  clock.advance(1);
  await stopped;
  expect(managed.pid).toBeUndefined();
});

it('grants less time when it is asked again', async () => {
  await using supervised = new Supervised(`process.on('SIGTERM', () => console.log('no')); ${forever}`);
  const { process: managed, clock, log } = supervised;
  await eventually(() => log.tail(1)[0] === 'up');
  const stopped = [managed.stop(30_000), managed.stop(100)];
  await eventually(() => log.tail(1)[0] === 'no');
  clock.advance(100);
  await Promise.all(stopped);
  expect(managed.pid).toBeUndefined();
});

it('ends with a process what that had started', async () => {
  const program = `console.log(require('node:child_process').spawn(process.execPath, ['-e', '${forever.replaceAll('"', '\\"')}']).pid); ${forever}`;
  await using supervised = new Supervised(program);
  const child = Number(await eventually(() => supervised.log.tail(2).find((line) => /^\d+$/.test(line))));
  process.kill(supervised.process.pid!, 'SIGKILL');
  await eventually(() => !isRunning(child));
  await supervised.process.stop(0);
});

it('says why a program cannot be started', async () => {
  await using supervised = new Supervised('');
  const { clock, guardian, log, crashes } = supervised;
  const missing = new ManagedProcess(
    { name: 'missing', command: ['/no/such/program'], env: {}, cwd: '/' },
    { clock, guardian, log, onCrash: (reason, delay) => crashes.push({ reason, delay }) },
  );
  missing.start();
  await eventually(() =>
    crashes.some(({ reason }) => reason.includes('cannot be started: spawn /no/such/program ENOENT')),
  );
  await missing.stop(0);
  await supervised.process.stop(0);
});

it('kills what is still watched when its parent is killed', async () => {
  const guardian = fileURLToPath(new URL('../../runtime/local/guardian.ts', import.meta.url));
  const program = `
    import { Guardian } from ${JSON.stringify(guardian)};
    import { spawn } from 'node:child_process';
    const guardian = new Guardian();
    const start = () => spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' }).pid;
    const [watched, forgotten] = [start(), start()];
    guardian.watch(watched);
    guardian.watch(forgotten);
    guardian.forget(forgotten);
    console.log(watched + ' ' + forgotten);
  `;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(parent.stdout.setEncoding('utf8'), 'data')) as [string];
  const [watched, forgotten] = line.split(' ').map(Number);
  parent.kill('SIGKILL');
  await eventually(() => !isRunning(watched));
  expect(isRunning(forgotten)).toBe(true);
  process.kill(forgotten, 'SIGKILL');
});

it('starts nothing again once the guardian has closed: nobody would end it', async () => {
  await using supervised = new Supervised(forever);
  const { clock, guardian, process: managed, crashes } = supervised;
  await guardian.close();
  await eventually(() => crashes.length === 1);
  clock.advance(60_000);
  expect(managed.pid).toBeUndefined();
});

it('keeps logs small, and their last lines at hand', () => {
  using directory = new TemporaryDirectory();
  const path = join(directory.path, 'log');
  const log = new LogFile(path, 100);
  for (let line = 0; line < 50; line++) log.write(Buffer.from(`line ${line}\n`));
  expect(readFileSync(path).length).toBeLessThanOrEqual(100);
  expect(readFileSync(`${path}.1`).length).toBeLessThanOrEqual(100);
  expect(existsSync(`${path}.2`)).toBe(false);
  expect(log.tail(2)).toEqual(['line 48', 'line 49']);
  log.close();
});
