import { afterEach, expect, it } from '@jest/globals';
import { isRunning } from '../local/ps.ts';
import { eventually } from '../support/eventually.ts';
import { closeAll, send, startApp } from './mesh.ts';
import { SidecarProcess } from './sidecar-process.ts';

afterEach(closeAll);

const hello = () => startApp((_, response) => response.end('hello'));
const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);
const count = 'http_client_request_duration_seconds_count';

it('is one process where nobody asks for more', async () => {
  const sidecar = await SidecarProcess.start(await hello());
  expect((await send(sidecar.port)).status).toBe(200);
  expect(sidecar.workers()).toEqual([]);
});

it('shares its connections among as many processes as asked for, and tells of them as of one', async () => {
  const sidecar = await SidecarProcess.start(await hello(), { args: ['--concurrency', '3'] });
  expect(sidecar.workers()).toHaveLength(2);
  const replies = await Promise.all(times(60, () => send(sidecar.port)));
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
  expect(await sidecar.metric(count)).toBe(60);
  expect(await sidecar.metric('meshwright_worker_restarts_total')).toBe(0);
});

it('goes on without a worker that is gone, forgets nothing that it counted, and starts another one', async () => {
  const sidecar = await SidecarProcess.start(await hello(), { args: ['--concurrency', '2'] });
  await Promise.all(times(40, () => send(sidecar.port)));
  expect(await sidecar.metric(count)).toBe(40);
  const [worker] = sidecar.workers();
  process.kill(worker, 'SIGKILL');
  await eventually(() => !isRunning(worker));
  expect(await sidecar.isReady()).toBe(true);
  for (const { status } of await Promise.all(times(20, () => send(sidecar.port)))) expect(status).toBe(200);
  expect(await sidecar.metric('meshwright_worker_restarts_total')).toBe(1);
  const [next] = await eventually(() => sidecar.workers().length > 0 && sidecar.workers(), 20_000);
  expect(next).not.toBe(worker);
  await Promise.all(times(20, () => send(sidecar.port)));
  await eventually(async () => (await sidecar.metric(count)) === 80);
});

it('lets every process finish what is under way when it is told to end', async () => {
  const waiting: (() => void)[] = [];
  const app = await startApp((_, response) => {
    waiting.push(() => response.end('in the end'));
  });
  const sidecar = await SidecarProcess.start(app, { args: ['--concurrency', '2'] });
  const [worker] = sidecar.workers();
  const requests = times(30, () => send(sidecar.port));
  await eventually(() => waiting.length === 30);
  sidecar.child.kill('SIGTERM');
  await eventually(async () => (await send(sidecar.admin, { path: '/ready' })).status === 503);
  for (const answer of waiting) answer();
  for (const { body } of await Promise.all(requests)) expect(body.toString()).toBe('in the end');
  expect(await sidecar.ended()).toBe(0);
  expect(isRunning(worker)).toBe(false);
});

it('takes its workers with it when it is killed', async () => {
  const sidecar = await SidecarProcess.start(await hello(), { args: ['--concurrency', '2'] });
  const [worker] = sidecar.workers();
  await sidecar.kill();
  await eventually(() => !isRunning(worker));
});

it('drains and ends when a fault is contained by nobody, so that it is started anew', async () => {
  const waiting: (() => void)[] = [];
  const app = await startApp((_, response) => {
    waiting.push(() => response.end('in the end'));
  });
  const fault = "process.on('SIGUSR2', () => setTimeout(() => { throw new Error('a fault of ours'); }))";
  const sidecar = await SidecarProcess.start(app, { nodeFlags: ['--import', `data:text/javascript,${fault}`] });
  const request = send(sidecar.port);
  await eventually(() => waiting.length === 1);
  sidecar.child.kill('SIGUSR2');
  await eventually(() => sidecar.log.includes('a fault of ours'));
  await eventually(async () => (await send(sidecar.admin, { path: '/ready' })).body.toString() === 'draining\n');
  waiting[0]();
  expect((await request).body.toString()).toBe('in the end');
  expect(await sidecar.ended()).toBe(1);
});

it('gives back what its start left behind', async () => {
  const flags = ['--expose-gc', '--trace-gc'];
  const sidecar = await SidecarProcess.start(await hello(), { args: ['--concurrency', '2'], nodeFlags: flags });
  const collections = () => sidecar.log.match(/^\[\d+:.*Mark-Compact \(reduce\).* testing/gm) ?? [];
  const processes = () => new Set(collections().map((line) => line.slice(1, line.indexOf(':'))));
  await eventually(() => processes().size === 2);
});
