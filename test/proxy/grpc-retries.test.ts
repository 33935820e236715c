import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { GrpcStatus, Retry } from '../../runtime/model/index.ts';
import { startTalk, TalkClient } from '../support/grpc.ts';
import { closeAll, closeLater, startPairTo } from './mesh.ts';
import { forwardTo, service } from './resources.ts';

afterEach(closeAll);

const none = new Metadata();
const unused = (): void => {};
const retryOn = (...grpcStatuses: GrpcStatus[]): Retry => ({ attempts: 2, codes: [], grpcStatuses, backoff: 0 });

/** An application whose calls fail until the last of these outcomes has come. */
async function startFailing(outcomes: readonly status[], retry: Retry, change: UntypedServiceImplementation = {}) {
  let calls = 0;
  const unary: handleUnaryCall<string, string> = ({ request }, answer) => {
    const code = outcomes[calls++] ?? status.OK;
    if (code === status.OK) answer(null, `re: ${request}`);
    else answer({ code, details: `call ${calls}` });
  };
  const app = await startTalk({ Unary: unary, Upload: unused, Download: unused, Chat: unused, ...change });
  closeLater(() => app.close());
  const rules = [forwardTo('shop/reviews', 9080, { retry })];
  const pair = await startPairTo(app.port, { protocol: 'grpc', rules });
  const client = new TalkClient(pair.outbound);
  closeLater(() => client.close());
  return { pair, client, calls: () => calls };
}

describe('a call of gRPC', () => {
  it('is repeated for a status that its rule names, which comes as trailers only', async () => {
    const { client, calls, pair } = await startFailing(
      [status.UNAVAILABLE, status.ABORTED],
      retryOn('UNAVAILABLE', 'ABORTED'),
    );
    expect(await client.unary('a', none)).toMatchObject({ code: status.OK, value: 're: a' });
    expect(calls()).toBe(3);
    expect(pair.client.log.entries[0]).toMatchObject({ status: 200, retries: 2 });
    expect(pair.client.metrics.registry.expose()).toContain(
      'http_client_retries_total{service="shop/reviews",route="HTTPRoute shop/route rule-0"} 2',
    );
  });

  it('is repeated as often as the rule says, and then fails with what it failed with', async () => {
    const { client, calls } = await startFailing(Array(5).fill(status.UNAVAILABLE), retryOn('UNAVAILABLE'));
    expect(await client.unary('a', none)).toMatchObject({ code: status.UNAVAILABLE, details: 'call 3' });
    expect(calls()).toBe(3);
  });

  it.each([
    ['another status', status.INTERNAL, retryOn('UNAVAILABLE')],
    ['any status where none is named', status.UNAVAILABLE, { attempts: 2, codes: [], backoff: 0 }],
  ])('is not repeated for %s', async (_, code, retry) => {
    const { client, calls } = await startFailing([code], retry);
    expect(await client.unary('a', none)).toMatchObject({ code });
    expect(calls()).toBe(1);
  });

  it('is not repeated once it has answered anything', async () => {
    let downloads = 0;
    const download: handleServerStreamingCall<string, string> = (call) => {
      downloads++;
      call.write('part');
      call.emit('error', { code: status.UNAVAILABLE, details: 'gone' });
    };
    const { client } = await startFailing([], retryOn('UNAVAILABLE'), { Download: download });
    const parts: string[] = [];
    const ended = await new Promise<number>((resolve) => {
      const call = client.download('1', none);
      call.on('data', (part: string) => parts.push(part));
      call.on('error', ({ code }: { code: number }) => resolve(code));
    });
    expect([ended, parts]).toEqual([status.UNAVAILABLE, ['part']]);
    expect(downloads).toBe(1);
  });

  it('is not repeated beyond the budget of its target', async () => {
    const { client, calls, pair } = await startFailing(Array(9).fill(status.UNAVAILABLE), retryOn('UNAVAILABLE'));
    const rules = [forwardTo('shop/reviews', 9080, { retry: retryOn('UNAVAILABLE') })];
    const retryBudget = { percent: 0, interval: 1000, minRetryRate: { count: 1, interval: 3_600_000 } };
    pair.client.proxy.apply([{ ...service('reviews', 9080, 'grpc', rules), retryBudget }], 'service', []);
    expect(await client.unary('a', none)).toMatchObject({ code: status.UNAVAILABLE, details: 'call 2' });
    expect(await client.unary('b', none)).toMatchObject({ code: status.UNAVAILABLE, details: 'call 3' });
    expect(calls()).toBe(3);
    expect(pair.client.metrics.registry.expose()).toMatch(/^meshwright_retries_refused_total{.*} 2$/m);
  });
});
