import { once } from 'node:events';
import { get, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Metadata,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { HttpRule, Protocol, Timeouts } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { startTalk, TalkClient } from '../support/grpc.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { opcode, openWebSocket, startWebSocketApp } from '../support/web-socket.ts';
import { closeAll, closeLater, send, startApp, startPairTo } from './mesh.ts';
import { forwardTo, service } from './resources.ts';

afterEach(closeAll);

const none = new Metadata();
const unused = (): void => {};

/** Two sidecars; time stands still at the caller's. `limit` states what a policy of the service says from then on. */
async function startLimited(appPort: number, protocol: Protocol, timeouts: Timeouts, rules: readonly HttpRule[] = []) {
  const clock = new ManualClock();
  const pair = await startPairTo(appPort, { protocol, rules, clock });
  const limit = (stated: Timeouts | undefined) => {
    const { ports, ...rest } = service('reviews', 9080, protocol, rules);
    const limited = { ...rest, ports: ports.map((port) => ({ ...port, ...(stated && { timeouts: stated }) })) };
    expect(pair.client.proxy.apply([limited], 'service', [])).toEqual([]);
  };
  limit(timeouts);
  const counted = () => pair.client.metrics.registry.expose().match(/^meshwright_timeouts_total\{.*$/gm) ?? [];
  return { ...pair, clock, limit, counted };
}

async function startCalls(timeouts: Timeouts, change: UntypedServiceImplementation, rules?: readonly HttpRule[]) {
  const app = await startTalk({ Unary: unused, Upload: unused, Download: unused, Chat: unused, ...change });
  closeLater(() => app.close());
  const pair = await startLimited(app.port, 'grpc', timeouts, rules);
  const client = new TalkClient(pair.outbound);
  closeLater(() => client.close());
  return { ...pair, client, sidecar: pair.client };
}

const count = (limit: string, route: string) =>
  `meshwright_timeouts_total{source="shop/web",service="shop/reviews",target="shop/reviews",route="${route}",limit="${limit}"} 1`;
const ownRoute = 'Service shop/reviews default';

describe('a policy that limits the time of a service', () => {
  it('ends a call of gRPC with DEADLINE_EXCEEDED, and tells its server of the deadline', async () => {
    let left: number | undefined;
    const never: handleUnaryCall<string, string> = (call) => {
      left = Number(call.getDeadline()) - Date.now();
    };
    const { client, clock, sidecar, counted } = await startCalls({ request: 2000 }, { Unary: never });
    const call = client.unary('a', none);
    await eventually(() => left !== undefined);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(2000);
    clock.advance(2000);
    expect(await call).toMatchObject({
      code: status.DEADLINE_EXCEEDED,
      details: 'shop/reviews did not answer within 2000 ms',
    });
    expect(sidecar.log.entries[0]).toMatchObject({ grpc_status: 'DEADLINE_EXCEEDED', response_flags: 'UT' });
    expect(counted()).toEqual([count('request', ownRoute)]);
  });

  it('lets a caller of gRPC wait for less, not for more', async () => {
    let calls = 0;
    const { client, clock, counted } = await startCalls({ request: 4000 }, { Unary: () => calls++ });
    const impatient = client.unary('a', none, { deadline: Date.now() + 2000 });
    await eventually(() => calls === 1);
    clock.advance(2000);
    expect(await impatient).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    const patient = client.unary('b', none, { deadline: Date.now() + 60_000 });
    await eventually(() => calls === 2);
    clock.advance(4000);
    expect(await patient).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect(counted().map((line) => /limit="([^"]*)"/.exec(line)![1])).toEqual(['grpc-timeout', 'request']);
  });

  it('ends a stream that is silent, and lets one live that talks', async () => {
    const chat: handleBidiStreamingCall<string, string> = (call) => {
      call.on('data', (part: string) => call.write(`re: ${part}`));
      call.on('end', () => call.end());
    };
    const { client, clock, counted, sidecar } = await startCalls({ streamIdle: 1000 }, { Chat: chat });
    const call = client.chat(none);
    const heard: string[] = [];
    const ended = new Promise<{ code: number; details: string }>((resolve) => call.on('error', resolve as never));
    call.on('data', (part: string) => heard.push(part));
    for (let i = 1; i <= 5; i++) {
      call.write(String(i));
      await eventually(() => heard.length === i);
      clock.advance(900);
    }
    expect(sidecar.log.entries).toEqual([]);
    clock.advance(100);
    expect(await ended).toMatchObject({ code: status.DEADLINE_EXCEEDED, details: expect.stringContaining('1000 ms') });
    expect(heard).toEqual(['re: 1', 're: 2', 're: 3', 're: 4', 're: 5']);
    expect(sidecar.log.entries[0]).toMatchObject({ grpc_status: 'DEADLINE_EXCEEDED', response_flags: 'SI' });
    expect(counted()).toEqual([count('streamIdle', ownRoute)]);
  });

  it('yields to what the rule of a route states, each limit for itself', async () => {
    let calls = 0;
    const rules = [forwardTo('shop/reviews', 9080, { timeouts: { request: 5000 } })];
    const { client, clock, counted } = await startCalls(
      { request: 1000, streamIdle: 9000 },
      { Unary: () => calls++ },
      rules,
    );
    const call = client.unary('a', none);
    await eventually(() => calls === 1);
    clock.advance(4999);
    expect(counted()).toEqual([]);
    clock.advance(1);
    expect(await call).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect(counted()).toEqual([count('request', 'HTTPRoute shop/route rule-0')]);
  });

  it('holds for the next request when it comes, and no more when it goes', async () => {
    const waiting: ServerResponse[] = [];
    const app = await startApp((_, response) => waiting.push(response));
    const { outbound, clock, limit } = await startLimited(app, 'http', { request: 1000 });
    const first = send(outbound);
    await eventually(() => waiting.length === 1);
    limit(undefined);
    clock.advance(1000);
    expect((await first).status).toBe(504);
    const second = send(outbound);
    await eventually(() => waiting.length === 2);
    clock.advance(5000);
    waiting[1].end('late');
    expect((await second).body.toString()).toBe('late');
  });

  it('answers 504 where nothing was sent before the answer began, and breaks off what has begun', async () => {
    const waiting: ServerResponse[] = [];
    const app = await startApp((_, response) => waiting.push(response));
    const { outbound, clock, client } = await startLimited(app, 'http', { streamIdle: 1000 });
    const silent = send(outbound);
    await eventually(() => waiting.length === 1);
    clock.advance(1000);
    expect((await silent).body.toString()).toBe('nothing was sent for 1000 ms\n');
    const begun = get({ port: outbound, agent: false });
    await eventually(() => waiting.length === 2);
    clock.advance(900);
    waiting[1].writeHead(200, { 'content-length': '10' }).write('part');
    const [response] = (await once(begun, 'response')) as [IncomingMessage];
    const broken = once(response, 'error');
    await once(response, 'data');
    clock.advance(999);
    expect(client.log.entries).toHaveLength(1);
    clock.advance(1);
    expect(await broken).toMatchObject([{ code: 'ECONNRESET' }]);
    expect(client.log.entries.map(({ response_flags: flags }) => flags)).toEqual(['SI', 'SI']);
  });

  it('ends a tunnel that lasts too long, though it talks', async () => {
    const app = await startWebSocketApp();
    closeLater(() => app.close());
    const { outbound, clock, client, counted } = await startLimited(app.port, 'http', {
      request: 1000,
      maxStreamDuration: 3000,
    });
    const { peer } = await openWebSocket(outbound, '/chat');
    for (let i = 0; i < 2; i++) {
      clock.advance(1000);
      peer.send(opcode.text, 'still there?');
      expect((await peer.next())?.payload.toString()).toBe('still there?');
    }
    clock.advance(1000);
    await eventually(() => client.log.entries.length === 1);
    expect(client.log.entries[0]).toMatchObject({
      status: 101,
      response_flags: 'UMSDR',
      error: 'the tunnel lasted longer than 3000 ms',
    });
    expect(counted()).toEqual([count('maxStreamDuration', ownRoute)]);
  });
});
