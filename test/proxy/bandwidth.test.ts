import { request as httpRequest, type IncomingMessage } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Fault, FaultBandwidth, Service } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { closeAll, send, startApp, startPairTo } from './mesh.ts';
import { service } from './resources.ts';

afterEach(closeAll);

/** `web` calls `reviews`, whose answer is `size` bytes; the bodies pass as slowly as the fault says. */
async function startThin(bandwidth: FaultBandwidth, size: number, more: Partial<Fault> = {}) {
  const clock = new ManualClock();
  const heard = { bytes: 0, ended: false, written: 0, closed: false };
  const app = await startApp((request, response) => {
    request.on('data', (chunk: Buffer) => {
      heard.bytes += chunk.length;
    });
    request.on('end', () => {
      heard.ended = true;
    });
    response.on('close', () => {
      heard.closed = true;
    });
    const write = (): void => {
      while (heard.written < size) {
        const part = Buffer.alloc(Math.min(16_384, size - heard.written), 'x');
        heard.written += part.length;
        if (!response.write(part)) {
          response.once('drain', write);
          return;
        }
      }
      response.end();
    };
    if (request.method === 'GET') write();
    else request.on('end', write);
  });
  const pair = await startPairTo(app, { clock });
  const reviews = service('reviews', 9080, 'http');
  const faults: Fault[] = [{ name: 'thin', headers: [], percent: 100, bandwidth, ...more }];
  const policy = { kind: 'FaultPolicy', namespace: 'shop', name: 'trouble' };
  const faulty: Service = {
    ...reviews,
    ports: reviews.ports.map((port) => ({ ...port, faults: [{ policy, faults }] })),
  };
  expect(pair.client.proxy.apply([faulty], 'service', [])).toEqual([]);
  return { ...pair, clock, heard };
}

/** A request whose answer is read by hand. */
async function ask(port: number, method = 'GET', headers: Record<string, string> = {}) {
  const request = httpRequest({ host: '127.0.0.1', port, method, headers, agent: false });
  request.on('error', () => {});
  const answer = { bytes: 0, ended: false, response: undefined as IncomingMessage | undefined };
  request.on('response', (response) => {
    answer.response = response;
    response.on('data', (chunk: Buffer) => {
      answer.bytes += chunk.length;
    });
    response.on('end', () => {
      answer.ended = true;
    });
    response.on('error', () => {});
  });
  return { request, answer };
}

describe('little bandwidth', () => {
  it('has the answer come in portions, as many bytes a second as it says', async () => {
    const { outbound, clock } = await startThin({ response: 1000 }, 200);
    const { request, answer } = await ask(outbound);
    request.end();
    for (const bytes of [50, 100, 150]) {
      await eventually(() => answer.bytes === bytes);
      clock.advance(49);
      await new Promise((resolve) => setImmediate(resolve));
      expect(answer).toMatchObject({ bytes, ended: false });
      clock.advance(1);
    }
    await eventually(() => answer.ended);
    expect(answer.bytes).toBe(200);
  });

  it('has the request arrive as slowly, and complete', async () => {
    const { outbound, clock, heard } = await startThin({ request: 1000 }, 2);
    const { request, answer } = await ask(outbound, 'POST', { 'content-length': '150' });
    request.end(Buffer.alloc(150, 'y'));
    for (const bytes of [50, 100]) {
      await eventually(() => heard.bytes === bytes);
      expect(heard.ended).toBe(false);
      clock.advance(50);
    }
    await eventually(() => heard.ended && answer.ended);
    expect([heard.bytes, answer.bytes]).toEqual([150, 2]);
  });

  it('waits for nothing where headers do not ask for it', async () => {
    const asked = { headers: [{ name: 'x-thin', value: { kind: 'exact', value: 'yes' } }] } as const;
    const { outbound } = await startThin({ request: 1, response: 1 }, 100_000, asked);
    expect((await send(outbound)).body).toHaveLength(100_000);
  });

  it('holds no more than a window, however much the application has to say', async () => {
    const size = 50_000_000;
    const { outbound, clock, heard } = await startThin({ response: 1000 }, size);
    const { request, answer } = await ask(outbound);
    request.end();
    await eventually(() => answer.bytes === 50);
    let before = -1;
    await eventually(() => {
      const settled = heard.written === before;
      before = heard.written;
      return settled;
    });
    expect(heard.written).toBeLessThan(size / 2);
    clock.advance(50);
    await eventually(() => answer.bytes === 100);
    request.socket?.resetAndDestroy();
    await eventually(() => heard.closed);
  });

  it('ends with the caller, and leaves no timer', async () => {
    const { outbound, clock, client, heard } = await startThin({ response: 10 }, 100);
    const { request, answer } = await ask(outbound);
    request.end();
    await eventually(() => answer.bytes === 1);
    request.socket?.resetAndDestroy();
    await eventually(() => client.log.entries.length === 1);
    expect(client.log.entries[0].error).toContain('the caller broke off');
    await eventually(() => heard.closed);
    const { scheduled } = clock;
    clock.advance(60_000);
    expect(clock.scheduled - scheduled).toBeLessThan(100);
    expect(client.log.entries).toHaveLength(1);
  });
});
