import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type ServerDuplexStream,
  type ServerUnaryCall,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { AccessPolicy, HttpRule, RateLimitPolicy } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { startTalk, TalkClient } from '../support/grpc.ts';
import { closeAll, closeLater, freePort, type PairOptions, startPairTo } from './mesh.ts';
import { endpointsOf, forwardTo, identityOf, service } from './resources.ts';

afterEach(closeAll);

const policy = (kind: string) => ({ kind, namespace: 'shop', name: 'reviews' });
const denyAll: AccessPolicy = {
  policy: policy('AccessPolicy'),
  rules: [{ name: 'all', action: 'deny', from: [], to: [] }],
};
const oneCall: RateLimitPolicy = {
  policy: policy('RateLimitPolicy'),
  limits: [{ name: 'all', requests: 1, interval: 600_000, burst: 1, key: { kind: 'total' }, to: [] }],
};

const unary: handleUnaryCall<string, string> = ({ request, metadata }, answer) => {
  if (request === 'fail') answer({ code: status.NOT_FOUND, details: 'no such thing: 100 % ä' });
  else answer(null, `re: ${request} ${metadata.get('x-word')}`, Object.assign(new Metadata(), metadata));
};
const upload: handleClientStreamingCall<string, string> = (call, answer) => {
  const parts: string[] = [];
  call.on('data', (part: string) => parts.push(part));
  call.on('end', () => answer(null, parts.join('+')));
};
const download: handleServerStreamingCall<string, string> = (call) => {
  for (let i = 0; i < Number(call.request); i++) call.write(`part ${i}`);
  call.end();
};
const chat: handleBidiStreamingCall<string, string> = (call) => {
  call.on('data', (part: string) => call.write(`re: ${part}`));
  call.on('end', () => call.end());
};
const talk: UntypedServiceImplementation = { Unary: unary, Upload: upload, Download: download, Chat: chat };

async function startTalkPair(change: UntypedServiceImplementation = {}, options: PairOptions = {}) {
  const app = await startTalk({ ...talk, ...change });
  closeLater(() => app.close());
  const pair = await startPairTo(app.port, { protocol: 'grpc', ...options });
  const client = new TalkClient(pair.outbound);
  closeLater(() => client.close());
  return { pair, client };
}

const none = new Metadata();
const inTime = (milliseconds: number) => ({ deadline: Date.now() + milliseconds });

/** An application that never answers; tells how much time the calls it got had left, and which were cancelled. */
function silence() {
  const heard = { left: [] as number[], cancelled: 0 };
  const listen = (call: ServerUnaryCall<string, string> | ServerDuplexStream<string, string>): void => {
    heard.left.push(Number(call.getDeadline()) - Date.now());
    call.on('cancelled', () => heard.cancelled++);
  };
  return { heard, app: { Unary: listen, Chat: listen } };
}

describe('calls between client and server of another gRPC, through two sidecars', () => {
  it('are unary, with metadata, or fail with code and details', async () => {
    const { client, pair } = await startTalkPair();
    const metadata = new Metadata();
    metadata.set('x-word', 'word');
    expect(await client.unary('hello', metadata)).toEqual({ code: 0, value: 're: hello word' });
    expect(await client.unary('fail', none)).toMatchObject({
      code: status.NOT_FOUND,
      details: 'no such thing: 100 % ä',
    });
    for (const { log } of [pair.client, pair.server]) {
      expect(log.entries).toMatchObject([
        { status: 200, grpc_status: 'OK', path: '/test.Talk/Unary' },
        { status: 200, grpc_status: 'NOT_FOUND' },
      ]);
    }
    const counted = (side: string, code: string) =>
      new RegExp(`rpc_${side}_call_duration_seconds_count\\{.*rpc_response_status_code="${code}"\\} 1`);
    expect(pair.client.metrics.registry.expose()).toMatch(counted('client', 'OK'));
    expect(pair.client.metrics.registry.expose()).toMatch(counted('client', 'NOT_FOUND'));
    expect(pair.server.metrics.registry.expose()).toMatch(counted('server', 'NOT_FOUND'));
  });

  it('stream from the client, from the server, and both ways', async () => {
    const { client } = await startTalkPair();
    const uploaded = await new Promise<string | undefined>((resolve, reject) => {
      const call = client.upload(none, (error, answer) => (error ? reject(error) : resolve(answer)));
      for (const part of ['a', 'b', 'c']) call.write(part);
      call.end();
    });
    expect(uploaded).toBe('a+b+c');

    const parts: string[] = [];
    for await (const part of client.download('5000', none)) parts.push(part);
    expect(parts).toHaveLength(5000);
    expect(parts.at(-1)).toBe('part 4999');

    const call = client.chat(none);
    const heard: string[] = [];
    call.on('data', (part: string) => heard.push(part));
    for (const word of ['one', 'two', 'three']) {
      call.write(word);
      await eventually(() => heard.at(-1) === `re: ${word}`);
    }
    const ended = new Promise((resolve) => call.on('status', resolve));
    call.end();
    expect(await ended).toMatchObject({ code: 0 });
  });

  it('survive a thousand changes of configuration', async () => {
    const { client, pair } = await startTalkPair();
    const call = client.chat(none);
    let last = '';
    call.on('data', (part: string) => {
      last = part;
    });
    call.write('begin');
    await eventually(() => last === 're: begin');
    const endpoints = [{ port: pair.wire.port, identity: identityOf('reviews') }];
    for (let round = 0; round < 1000; round++) {
      const rules = [forwardTo('shop/reviews', 9080, { name: `rule-${round}` })];
      pair.client.proxy.apply([service('reviews', 9080, 'grpc', rules)], 'service', []);
      pair.client.proxy.apply([endpointsOf('reviews', 9080, round % 2 ? endpoints : [])], 'endpoints', []);
      const [workload] = pair.server.proxy.resources;
      pair.server.proxy.apply([{ ...workload }], 'workload', []);
      if (round % 100 > 0) continue;
      call.write(`round ${round}`);
      await eventually(() => last === `re: round ${round}`);
    }
    const ended = new Promise((resolve) => call.on('status', resolve));
    call.end();
    expect(await ended).toMatchObject({ code: 0 });
  });

  it('tell the server when the client cancels', async () => {
    const { app, heard } = silence();
    const { client, pair } = await startTalkPair(app);
    const call = client.chat(none);
    call.on('error', () => {});
    call.write('x');
    await eventually(() => heard.left.length === 1);
    call.cancel();
    await eventually(() => heard.cancelled === 1);
    await eventually(() => pair.client.log.entries.length === 1);
    expect(pair.client.log.entries[0]).toMatchObject({ grpc_status: 'CANCELLED' });
  });
});

describe('the deadline of a call', () => {
  it('reaches the server less the time that has passed', async () => {
    const { app, heard } = silence();
    const { client } = await startTalkPair(app);
    const result = await client.unary('x', none, inTime(2000));
    expect(result.code).toBe(status.DEADLINE_EXCEEDED);
    expect(heard.left[0]).toBeGreaterThan(0);
    expect(heard.left[0]).toBeLessThanOrEqual(2000);
    await eventually(() => heard.cancelled === 1);
  });

  it('is the shorter of what its caller and its route allow', async () => {
    const { app, heard } = silence();
    const rule: Partial<HttpRule> = { timeouts: { request: 1000 } };
    const { client, pair } = await startTalkPair(app, { rules: [forwardTo('shop/reviews', 9080, rule)] });
    const result = await client.unary('x', none, inTime(60_000));
    expect(result).toMatchObject({
      code: status.DEADLINE_EXCEEDED,
      details: 'shop/reviews did not answer within 1000 ms',
    });
    expect(heard.left[0]).toBeLessThanOrEqual(1000);
    await eventually(() => heard.cancelled === 1);
    await eventually(() => pair.client.log.entries.length === 1);
    expect(pair.client.log.entries[0]).toMatchObject({ status: 504, grpc_status: 'DEADLINE_EXCEEDED' });
  });

  it('is none where nobody sets one', async () => {
    const { app, heard } = silence();
    const { client } = await startTalkPair(app);
    const call = client.chat(none);
    call.on('error', () => {});
    call.write('x');
    await eventually(() => heard.left.length === 1);
    expect(heard.left[0]).toBe(Number.POSITIVE_INFINITY);
    call.cancel();
  });

  it('that has passed lets the call go nowhere', async () => {
    const { client, pair } = await startTalkPair();
    expect(await client.unary('opens the connections', none)).toMatchObject({ code: 0 });
    const metadata = new Metadata();
    metadata.set('grpc-timeout', '0m');
    expect(await client.unary('x', metadata)).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect(await client.unary('comes after it', none)).toMatchObject({ code: 0 });
    expect(pair.server.log.entries).toHaveLength(2);
  });

  it('of the route alone is told to the caller that set none, and to the server', async () => {
    const { app, heard } = silence();
    const rule: Partial<HttpRule> = { timeouts: { request: 1000 } };
    const { client } = await startTalkPair(app, { rules: [forwardTo('shop/reviews', 9080, rule)] });
    expect(await client.unary('x', none)).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect(heard.left[0]).toBeLessThanOrEqual(1000);
  });

  it('of one try is told as well', async () => {
    const { app } = silence();
    const rule: Partial<HttpRule> = { timeouts: { backendRequest: 50 } };
    const { client } = await startTalkPair(app, { rules: [forwardTo('shop/reviews', 9080, rule)] });
    expect(await client.unary('x', none)).toMatchObject({ code: status.DEADLINE_EXCEEDED });
  });

  it('ends a stream that has begun, with what came so far', async () => {
    const Download: handleServerStreamingCall<string, string> = (call) => void call.write('the first');
    const rule: Partial<HttpRule> = { timeouts: { request: 1000 } };
    const { client, pair } = await startTalkPair({ Download }, { rules: [forwardTo('shop/reviews', 9080, rule)] });
    const call = client.download('x', none);
    const parts: string[] = [];
    call.on('data', (part: string) => parts.push(part));
    call.on('error', () => {});
    const ended = await new Promise((resolve) => call.on('status', resolve));
    expect(ended).toMatchObject({ code: status.DEADLINE_EXCEEDED, details: 'the response took longer than 1000 ms' });
    expect(parts).toEqual(['the first']);
    expect(pair.client.log.entries).toMatchObject([{ status: 200, grpc_status: 'DEADLINE_EXCEEDED' }]);
  });
});

describe('what the mesh answers itself', () => {
  it('is PERMISSION_DENIED where access is denied', async () => {
    const { client, pair } = await startTalkPair({}, { access: [denyAll] });
    const result = await client.unary('x', none);
    expect(result).toMatchObject({ code: status.PERMISSION_DENIED });
    expect(result.details).toContain('/test.Talk/Unary');
    expect(String(result.metadata?.get('proxy-status'))).toContain('http_request_denied');
    expect(pair.server.log.entries).toMatchObject([{ status: 403, grpc_status: 'PERMISSION_DENIED' }]);
    await eventually(() => pair.client.log.entries.length === 1);
    expect(pair.client.log.entries).toMatchObject([{ status: 200, grpc_status: 'PERMISSION_DENIED' }]);
  });

  it('is RESOURCE_EXHAUSTED beyond a rate limit, with when to come again', async () => {
    const { client } = await startTalkPair({}, { rateLimits: [oneCall] });
    expect(await client.unary('x', none)).toMatchObject({ code: 0 });
    const result = await client.unary('x', none);
    expect(result).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect(Number(result.metadata?.get('retry-after')[0])).toBeGreaterThan(0);
  });

  it('is UNIMPLEMENTED where no route matches', async () => {
    const matches = [{ path: { kind: 'exact' as const, value: '/test.Talk/Upload' }, headers: [], query: [] }];
    const { client } = await startTalkPair({}, { rules: [forwardTo('shop/reviews', 9080, { matches })] });
    expect(await client.unary('x', none)).toMatchObject({ code: status.UNIMPLEMENTED });
  });

  it('is UNAVAILABLE where nobody is there', async () => {
    const { client, pair } = await startTalkPair();
    pair.client.proxy.apply([endpointsOf('reviews', 9080, [])], 'endpoints', []);
    expect(await client.unary('x', none)).toMatchObject({
      code: status.UNAVAILABLE,
      details: 'shop/reviews has no ready endpoint',
    });
    pair.client.proxy.apply([endpointsOf('reviews', 9080, [{ port: await freePort() }])], 'endpoints', []);
    expect(await client.unary('x', none)).toMatchObject({ code: status.UNAVAILABLE });
  });

  it('is what the server itself says where it has no such method', async () => {
    const { client } = await startTalkPair();
    expect(await client.unary('x', none, {}, 'Nothing')).toMatchObject({ code: status.UNIMPLEMENTED });
  });
});
