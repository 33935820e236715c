import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { defaultHttpLimits, type HttpLimits } from '../../runtime/net/index.ts';
import { closeAll, createAuthority, freePort, readAll, send, startApp, startProxy, svidOf } from './mesh.ts';
import { endpointsOf, forwardTo, gatewayOf, identityOf, service } from './resources.ts';

afterEach(closeAll);

async function startGateway(http: Partial<HttpLimits> = {}) {
  const authority = await createAuthority();
  const [inbound, listen] = [await freePort(), await freePort()];
  const app = await startApp((request, response) => {
    if (request.url === '/slow') setTimeout(() => response.end('done'), 150);
    else response.end(JSON.stringify(request.headers));
  });
  await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(authority, 'web'),
    ports: [{ port: 8080, protocol: 'http' }],
    bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 8080, app: `127.0.0.1:${app}` }] },
  });
  const gateway = await startProxy({
    serviceAccount: 'gateway',
    svid: await svidOf(authority, 'gateway'),
    gateway: 'shop/shop',
    limits: { http: { ...defaultHttpLimits, ...http } },
    resources: [
      service('web', 8080, 'http'),
      endpointsOf('web', 8080, [{ port: inbound, identity: identityOf('web') }]),
      gatewayOf('shop', [forwardTo('shop/web', 8080)]),
    ],
    bootstrap: { gateway: [{ listen: `127.0.0.1:${listen}`, port: 80 }] },
  });
  return { listen, gateway };
}

describe('a gateway', () => {
  it('tells services where a request came from, and lets nobody outside pretend', async () => {
    const { listen } = await startGateway();
    const forged = [
      'forwarded',
      'x-forwarded-client-cert',
      'x-forwarded-for',
      'x-forwarded-host',
      'x-forwarded-port',
      'x-forwarded-proto',
      'x-real-ip',
    ];
    const headers = { host: 'shop.example', ...Object.fromEntries(forged.map((name) => [name, 'forged'])) };
    const seen = JSON.parse((await send(listen, { headers })).body.toString());
    expect(Object.fromEntries(Object.entries(seen).filter(([name]) => forged.includes(name)))).toEqual({
      'x-forwarded-client-cert': `URI=${identityOf('gateway')}`,
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': 'shop.example',
      'x-forwarded-proto': 'http',
    });
    const underscored = { x_forwarded_client_cert: 'URI=spiffe://test.local/ns/shop/sa/admin', X_Forwarded_For: 'me' };
    const again = JSON.parse((await send(listen, { headers: underscored })).body.toString());
    expect(Object.keys(again).filter((name) => name.includes('_'))).toEqual([]);
  });

  it('tells nobody outside where its services are, nor who they must be', async () => {
    const { listen, gateway } = await startGateway();
    const nowhere = endpointsOf('web', 8080, [{ port: await freePort(), identity: identityOf('web') }]);
    gateway.proxy.apply([nowhere], 'endpoints', []);
    const reply = await send(listen);
    expect([reply.status, reply.body.toString()]).toEqual([503, 'no connection to shop/web\n']);
    expect(reply.headers['proxy-status']).not.toContain('127.0.0.1');
    expect(gateway.log.entries[0].error).toContain('ECONNREFUSED');
  });

  it('answers malformed requests itself and closes', async () => {
    const { listen, gateway } = await startGateway();
    for (const [bytes, status] of [
      ['GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', '400'],
      ['GET /a\u0000b HTTP/1.1\r\nhost: a\r\n\r\n', '400'],
      [`GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(70_000)}\r\n\r\n`, '431'],
      ['GET /%zz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n', '400'],
    ]) {
      const socket = connect(listen, '127.0.0.1');
      socket.write(bytes, 'latin1');
      expect(await readAll(socket)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    }
    // The last one was HTTP; the others never became a request.
    expect(gateway.log.entries.map(({ path, status }) => [path, status])).toEqual([['/%zz', 400]]);
  });

  it('does not wait for ever for a slow client', async () => {
    const { listen } = await startGateway({ headTimeout: 50 });
    const socket = connect(listen, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n');
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('finishes what is under way when it drains, and takes nothing new', async () => {
    const { listen, gateway } = await startGateway();
    const slow = send(listen, { path: '/slow' });
    await new Promise<void>((resolve) => {
      const look = () => (gateway.metrics.activeRequests.value === 1 ? resolve() : setImmediate(look));
      look();
    });
    const drained = gateway.proxy.drain();
    expect((await slow).body.toString()).toBe('done');
    await drained;
    await expect(send(listen)).rejects.toThrow('ECONNREFUSED');
  });
});
