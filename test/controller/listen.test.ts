import { once } from 'node:events';
import { type ClientHttp2Session, connect, createServer, type Http2SecureServer } from 'node:http2';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type Listening, listen } from '../../runtime/controller/listen.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';

const closing: (() => unknown)[] = [];

/** A server with a client that has a stream open on each of its connections; `goneAway` counts those asked to leave. */
async function start(connections: number) {
  const server = createServer() as unknown as Http2SecureServer;
  server.on('stream', (stream) => stream.on('error', () => {}).respond({ ':status': 200 }));
  const listening: Listening = await listen(server, '127.0.0.1:0');
  closing.push(listening.close);
  const counts = { goneAway: 0, closed: 0 };
  const clients: ClientHttp2Session[] = [];
  for (let index = 0; index < connections; index++) {
    const client = connect(`http://${listening.address}`);
    client.on('error', () => {});
    client.once('goaway', () => counts.goneAway++);
    client.once('close', () => counts.closed++);
    const stream = client.request({ ':path': '/' });
    stream.on('error', () => {});
    await once(stream, 'response');
    clients.push(client);
    closing.push(() => client.destroy());
  }
  return { listening, counts };
}

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

describe('a server that is drained', () => {
  it('asks its connections to go a few at a time, and ends each a second later', async () => {
    const clock = new ManualClock();
    const { listening, counts } = await start(10);
    let done = false;
    const drained = listening.drain(500, clock).then(() => {
      done = true;
    });
    await eventually(() => counts.goneAway === 2);
    expect(counts.closed).toBe(0);
    for (const expected of [4, 6, 8, 10]) {
      clock.advance(100);
      await eventually(() => counts.goneAway === expected);
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toBe(false);
    clock.advance(1_000);
    await drained;
    await eventually(() => counts.closed === 10);
  });

  it('has nothing to wait for where there are none', async () => {
    const { listening } = await start(0);
    await listening.drain(5_000, new ManualClock());
  });
});

it('listens on all addresses where none is named', async () => {
  const server = createServer() as unknown as Http2SecureServer;
  const { address, close } = await listen(server, ':0');
  closing.push(close);
  expect(address).toMatch(/^(\[::\]|0\.0\.0\.0):\d+$/);
  await expect(listen(server, 'nowhere')).rejects.toThrow('nowhere is not host:port');
});
