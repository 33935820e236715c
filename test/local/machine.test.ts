import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { locateApp } from '../../runtime/local/app.ts';
import { publishManifests, readManifests } from '../../runtime/local/manifests.ts';
import { isFree, PortAllocator } from '../../runtime/local/ports.ts';
import { isReady } from '../../runtime/local/readiness.ts';
import { findRunningMeshes, StateDirectory } from '../../runtime/local/state-directory.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

async function listening(status: number): Promise<{ server: Server; port: number }> {
  const server = createServer((_request, response) => response.writeHead(status).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

it('gives out each port once, and again only when it was given back', async () => {
  const allocator = new PortAllocator(() => 0.999_99);
  const ports = await Promise.all(Array.from({ length: 20 }, () => allocator.take()));
  expect(new Set(ports).size).toBe(20);
  for (const port of ports) expect(port).toBeGreaterThanOrEqual(20_000);
  for (const port of ports) expect(port).toBeLessThanOrEqual(32_000);
});

it('sees that a port is taken', async () => {
  const { server, port } = await listening(200);
  expect(await isFree(port)).toBe(false);
  await new Promise((resolve) => server.close(resolve));
  expect(await isFree(port)).toBe(true);
});

it('takes an answer from 200 to 399 for readiness, and a connection where no path is given', async () => {
  const good = await listening(302);
  const bad = await listening(503);
  expect(await isReady({ port: good.port, path: '/' })).toBe(true);
  expect(await isReady({ port: bad.port, path: '/' })).toBe(false);
  expect(await isReady({ port: bad.port })).toBe(true);
  await Promise.all([good, bad].map(({ server }) => new Promise((resolve) => server.close(resolve))));
  expect(await isReady({ port: bad.port })).toBe(false);
  expect(await isReady({ port: bad.port, path: '/' })).toBe(false);
});

it('finds an app by its folder or its file, and says where it looked', async () => {
  using directory = new TemporaryDirectory();
  await directory.write('package.json', '{}');
  const entry = await directory.write('apps/shop/main.ts', '');
  const folder = join(directory.path, 'apps/shop');
  expect(locateApp(folder)).toEqual({ name: 'shop', entry, folder, packageRoot: directory.path });
  expect(locateApp(entry)).toEqual({ name: 'main', entry, folder, packageRoot: directory.path });
  expect(() => locateApp(join(directory.path, 'apps'))).toThrow('has no main.ts');
  expect(() => locateApp(join(directory.path, 'none'))).toThrow('is not there');
});

it('begins anew where the last one was killed, and does not take its state for a running mesh', async () => {
  using directory = new TemporaryDirectory();
  await directory.write('main.ts', '');
  const app = locateApp(directory.path);
  const state = new StateDirectory(app);
  state.claim();
  state.announce({ admin: 'http://127.0.0.1:1' });
  // No process has this id.
  const running = join(state.root, 'running.json');
  writeFileSync(running, readFileSync(running, 'utf8').replace(/"pid": \d+/, '"pid": 99999999'));
  writeFileSync(join(state.runtime, 'old.yaml'), '');
  expect(findRunningMeshes(directory.path)).toEqual([]);
  state.claim();
  expect(readdirSync(state.runtime)).toEqual([]);
});

it('publishes what was synthesised, file by file, and drops what is gone', async () => {
  using directory = new TemporaryDirectory();
  const [from, to] = [join(directory.path, 'from'), join(directory.path, 'to')];
  await directory.write('from/a.yaml', 'a: 1');
  await directory.write('from/b.yaml', 'b: 1');
  await directory.write('from/notes.txt', '');
  await directory.write('to/gone.yaml', 'c: 1');
  publishManifests(from, to);
  expect(readdirSync(to)).toEqual(['a.yaml', 'b.yaml']);
  expect(existsSync(join(to, 'gone.yaml'))).toBe(false);
});

it('reads manifests with the line of each mistake', async () => {
  using directory = new TemporaryDirectory();
  const path = await directory.write(
    'all.yaml',
    'apiVersion: v1\nkind: Namespace\nmetadata: { name: shop }\n---\nkind: [\n',
  );
  const { objects, findings } = readManifests([directory.path]);
  expect(objects).toMatchObject([{ kind: 'Namespace' }]);
  expect(findings).toMatchObject([{ id: 'MW1001', object: expect.stringMatching(`^${path}:[56]$`) }]);
});
