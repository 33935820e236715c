import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { verifyPair } from '../../bench/pairs/pair.ts';

let server: Server | undefined;
afterEach(() => {
  server?.close();
});

/** A pair of hops that answers in its turn with each of `statuses` to GET, and with the last ever after. */
async function pairAnswering(statuses: number[], { ended }: { ended?: string } = {}) {
  server = createServer((request, response) => {
    const status = statuses.length > 1 ? statuses.shift()! : statuses[0];
    response.writeHead(request.method === 'GET' ? status : 403).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const processes = [{ name: 'hop', pid: process.pid, started: 0, ended: () => ended }];
  return { name: 'hops', application: 'http' as const, url: `http://127.0.0.1:${port}/`, processes, logs: [] };
}

test('a pair that forwards and refuses as it should is measured', async () => {
  await verifyPair(await pairAnswering([200]));
});

test('a pair that is not ready yet is waited for', async () => {
  await verifyPair(await pairAnswering([503, 503, 503, 200]));
});

test('a pair with a process that ended is an error that says why', async () => {
  const pair = await pairAnswering([503], { ended: 'hop ended with code 1: port in use' });
  await expect(verifyPair(pair)).rejects.toThrow('hops cannot be measured: hop ended with code 1: port in use');
});

test('a pair that answers otherwise than its configuration says is not measured', async () => {
  const pair = await pairAnswering([404]);
  await expect(verifyPair(pair, 0)).rejects.toThrow('expected 200 for GET and 403 for DELETE, got 404 and 403');
});
