import { afterEach, describe, expect, it } from '@jest/globals';
import { closeAll, freePort, send } from './mesh.ts';
import { forwardTo, identityOf } from './resources.ts';
import { named, reviews, startMesh } from './routing.ts';

afterEach(closeAll);

describe('failure recovery', () => {
  it('retries a status the route names, for idempotent methods only', async () => {
    let calls = 0;
    const { outbound, client } = await startMesh(
      {
        v1: (request, response) => {
          request.resume();
          response.writeHead(++calls % 2 === 1 ? 503 : 200).end(String(calls));
        },
      },
      reviews([forwardTo('shop/v1', 9080, { retry: { attempts: 2, codes: [503], backoff: 1 } })]),
    );
    const reply = await send(outbound);
    expect([reply.status, reply.body.toString()]).toEqual([200, '2']);
    expect(client.log.entries.at(-1)).toMatchObject({ retries: 1, status: 200 });
    const posted = await send(outbound, { method: 'POST', body: 'pay once' });
    expect(posted.status).toBe(503);
    expect(calls).toBe(3);
    const put = await send(outbound, { method: 'PUT', body: 'again, please' });
    expect(put.status).toBe(200);
    expect(client.metrics.registry.expose()).toContain('http_client_retries_total');
  });

  it('repeats what is idempotent where a program that stops closes the connection, and nothing else', async () => {
    let calls = 0;
    const { outbound } = await startMesh(
      {
        v1: (request, response) => {
          if (++calls % 2 === 1) request.socket.resetAndDestroy();
          else response.end(String(calls));
        },
      },
      reviews([forwardTo('shop/v1', 9080)]),
    );
    const reply = await send(outbound);
    expect([reply.status, reply.body.toString()]).toEqual([200, '2']);
    expect((await send(outbound, { method: 'POST', body: 'pay once' })).status).toBe(502);
    expect(calls).toBe(3);
  });

  it('goes to another endpoint when one cannot be connected to', async () => {
    const { outbound, client } = await startMesh({ v1: named('v1') }, reviews([forwardTo('shop/v1', 9080)]));
    const alive = client.proxy.resources.find(({ kind, name }) => kind === 'endpoints' && name === 'shop/v1');
    if (alive?.kind !== 'endpoints') throw new Error('no endpoints');
    const dead = { address: '127.0.0.1', ports: { 9080: await freePort() }, identity: identityOf('v1') };
    client.proxy.apply([{ ...alive, endpoints: [dead, ...alive.endpoints] }], 'endpoints', []);
    const replies = await Promise.all(Array.from({ length: 20 }, () => send(outbound, { method: 'POST', body: 'x' })));
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200));
  });

  it('answers 503 and says why when there is no endpoint', async () => {
    const { outbound } = await startMesh({}, reviews([forwardTo('shop/v1', 9080)]));
    const reply = await send(outbound);
    expect(reply.status).toBe(503);
    expect(reply.body.toString()).toContain('shop/v1 has no ready endpoint');
  });

  it('answers 504 when the whole request takes too long, and when every try does', async () => {
    const { outbound } = await startMesh(
      { v1: () => {} },
      reviews([
        forwardTo('shop/v1', 9080, {
          matches: [{ path: { kind: 'prefix', value: '/whole' }, headers: [], query: [] }],
          timeouts: { request: 60 },
        }),
        forwardTo('shop/v1', 9080, { timeouts: { backendRequest: 30 }, retry: { attempts: 1, codes: [], backoff: 1 } }),
      ]),
    );
    const whole = await send(outbound, { path: '/whole' });
    expect([whole.status, whole.body.toString()]).toEqual([504, 'shop/v1 did not answer within 60 ms\n']);
    const tries = await send(outbound, { path: '/tries' });
    expect(tries.status).toBe(504);
    expect(tries.headers['proxy-status']).toContain('error=http_response_timeout');
  });

  it('answers 502 when the application breaks off', async () => {
    const { outbound } = await startMesh(
      { v1: (request) => request.socket.destroy() },
      reviews([forwardTo('shop/v1', 9080)]),
    );
    expect((await send(outbound, { method: 'POST', body: 'x' })).status).toBe(502);
  });
});
