import { once } from 'node:events';
import { Agent, createServer, request as httpRequest } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ManualClock } from '../support/manual-clock.ts';
import {
  closeAll,
  closeLater,
  createAuthority,
  freePort,
  send,
  startPairTo,
  startProxy,
  startServer,
  svidOf,
} from './mesh.ts';
import { endpointsOf, service } from './resources.ts';

afterEach(closeAll);

/**
 * A program that says nothing of keeping connections, and closes one that was idle for `patience` milliseconds. That it
 * did is on its way until `deliver`; what it is sent meanwhile is answered with a reset, as a kernel does.
 */
async function startImpatient(clock: ManualClock, patience: number) {
  const closing = new Set<Socket>();
  const served = { requests: 0, connections: 0 };
  const server = createTcpServer((socket) => {
    let answered = 0;
    let text = '';
    served.connections++;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      if (closing.has(socket)) {
        socket.resetAndDestroy();
        return;
      }
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (end < 0 || text.length < end + 4 + length) return;
      text = '';
      served.requests++;
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      const count = ++answered;
      clock.schedule(patience, () => {
        if (count === answered && !socket.destroyed) closing.add(socket);
      });
    });
  });
  const port = await startServer(server);
  /** Resolves when the other side has closed as well. */
  const deliver = async (): Promise<void> => {
    await Promise.all(Array.from(closing, (socket) => socket.destroyed || once(socket.end(), 'close')));
    closing.clear();
  };
  return { port, served, deliver };
}

/** Posts, which nobody may repeat, on a connection to the proxy that lives on. */
function poster(port: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  closeLater(() => agent.destroy());
  return () =>
    new Promise<number>((resolve, reject) => {
      const options = { host: '127.0.0.1', port, method: 'POST', path: '/', agent };
      const request = httpRequest(options, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0));
      });
      request.on('error', reject).end('x');
    });
}

describe('requests to a program that closes idle connections', () => {
  it('never meet a closing one, once one was seen to close', async () => {
    const clock = new ManualClock();
    const patience = 5000;
    const program = await startImpatient(clock, patience);
    const outbound = await freePort();
    const { metrics } = await startProxy({
      serviceAccount: 'web',
      svid: await svidOf(await createAuthority(), 'web'),
      clock,
      resources: [service('old', 80, 'http'), endpointsOf('old', 80, [{ port: program.port }])],
      bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/old', port: 80 }] } },
    });
    const post = poster(outbound);
    expect(await post()).toBe(200);
    clock.advance(patience);
    await program.deliver();
    expect(await post()).toBe(200);

    const statuses = new Map<number, number>();
    for (let round = 0; round < 1500; round++) {
      // Every other gap ends just before, with or just after the program's patience.
      let gap = round % 2 === 0 ? round % 1500 : patience - 3 + (round % 7);
      // News of what was closed takes a moment only; of the last moment, it has not come yet.
      for (; gap > 200; gap -= 200) {
        clock.advance(200);
        await program.deliver();
      }
      clock.advance(gap);
      for (const status of await Promise.all([post(), post()])) statuses.set(status, (statuses.get(status) ?? 0) + 1);
      await program.deliver();
    }
    expect([...statuses]).toEqual([[200, 3000]]);
    expect(metrics.registry.expose()).not.toMatch(/http_client_retries_total\{.*\} [1-9]/);
    // It still uses connections again, as long as they are young.
    expect(program.served.connections).toBeLessThan(0.9 * program.served.requests);
  });

  it('believe what it says of its patience', async () => {
    const seen = new Set<unknown>();
    const server = createServer((request, response) => {
      seen.add(request.socket);
      response.setHeader('keep-alive', 'timeout=2').end('ok');
    });
    server.keepAliveTimeout = 0;
    const port = await startServer(server);
    const clock = new ManualClock();
    const outbound = await freePort();
    await startProxy({
      serviceAccount: 'web',
      svid: await svidOf(await createAuthority(), 'web'),
      clock,
      resources: [service('old', 80, 'http'), endpointsOf('old', 80, [{ port }])],
      bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/old', port: 80 }] } },
    });
    for (const gap of [0, 900, 999, 1000]) {
      clock.advance(gap);
      expect((await send(outbound)).status).toBe(200);
    }
    expect(seen.size).toBe(2);
  });
});

describe('a request that meets a connection which was closed all the same', () => {
  it('is sent again on a new one where that is safe, though many others are as old', async () => {
    let restarted = false;
    let connections = 0;
    const server = createTcpServer((socket) => {
      connections++;
      const isOld = !restarted;
      socket.on('data', () => {
        // As a program does whose machine went away: it answers to nothing of old.
        if (restarted && isOld) socket.resetAndDestroy();
        else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      });
    });
    const { outbound } = await startPairTo(await startServer(server));
    await Promise.all(Array.from({ length: 20 }, () => send(outbound)));
    expect(connections).toBeGreaterThan(5);
    restarted = true;
    const statuses = [];
    for (let round = 0; round < 10; round++) statuses.push((await send(outbound)).status);
    expect(statuses).toEqual(Array(10).fill(200));
  });
});
