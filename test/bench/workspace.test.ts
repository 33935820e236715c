import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { afterEach, expect, test } from '@jest/globals';
import { cpuTime, parseCpuTime } from '../../bench/host/process-cpu.ts';
import { Workspace } from '../../bench/host/workspace.ts';

let workspace: Workspace | undefined;
afterEach(() => workspace?.close());

test('CPU time is user and system time, whatever the command is called', () => {
  const fields = 'S 1 42 42 0 -1 4194304 100 0 0 0 250 31 7 9 20 0 1 0 1234 0 0';
  expect(parseCpuTime(`42 (node) ${fields}`)).toBe(2_810_000);
  expect(parseCpuTime(`42 (a) b (c) 1 2) ${fields}`)).toBe(2_810_000);
  expect(() => parseCpuTime('')).toThrow('/proc/PID/stat');
});

(process.platform === 'linux' ? test : test.skip)('a process that works uses CPU time', () => {
  const before = cpuTime([process.pid]);
  const deadline = performance.now() + 10_000;
  while (cpuTime([process.pid]) === before) expect(performance.now()).toBeLessThan(deadline);
});

test('what a program writes is given when it ends well', async () => {
  workspace = new Workspace();
  expect(await workspace.run(process.execPath, ['-p', '6 * 7'])).toBe('42\n');
});

test('a program that fails or does not exist is an error with its reason', async () => {
  workspace = new Workspace();
  const failing = workspace.run(process.execPath, ['-e', 'console.error("out of ideas"); process.exit(3)']);
  await expect(failing).rejects.toThrow('ended with code 3: out of ideas');
  await expect(workspace.run('/no/such/program', [])).rejects.toThrow('ENOENT');
});

test('processes and files are gone when the workspace closes', async () => {
  workspace = new Workspace();
  const serving = workspace.start('server', process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  await writeFile(workspace.path('log'), 'text');
  expect(serving.ended()).toBeUndefined();
  expect(() => process.kill(serving.pid, 0)).not.toThrow();
  await workspace.close();
  expect(() => process.kill(serving.pid, 0)).toThrow('ESRCH');
  expect(existsSync(workspace.directory)).toBe(false);
  expect(serving.ended()).toContain('server ended with SIGKILL');
});
