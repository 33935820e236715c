import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { AccessPolicy } from '../../runtime/model/index.ts';
import {
  closeAll,
  createAuthority,
  freePort,
  readAll,
  readUntil,
  startApp,
  startEcho,
  startProxy,
  startWiretap,
  svidOf,
} from './mesh.ts';
import { endpointsOf, identityOf, service } from './resources.ts';

afterEach(closeAll);

async function startTcpPair(access: readonly AccessPolicy[] = []) {
  const authority = await createAuthority();
  const [inbound, outbound, proxyPort] = [await freePort(), await freePort(), await freePort()];
  await startProxy({
    serviceAccount: 'store',
    svid: await svidOf(authority, 'store'),
    ports: [{ port: 6380, protocol: 'tcp' }],
    access,
    bootstrap: {
      inbound: [{ listen: `127.0.0.1:${inbound}`, port: 6380, app: `127.0.0.1:${await startEcho('READY\n')}` }],
    },
  });
  const wire = await startWiretap(inbound);
  const client = await startProxy({
    serviceAccount: 'cart',
    svid: await svidOf(authority, 'cart'),
    limits: { drainTimeout: 50 },
    resources: [
      service('store', 6380, 'tcp'),
      endpointsOf('store', 6380, [{ port: wire.port, identity: identityOf('store') }]),
    ],
    bootstrap: {
      outbound: {
        proxy: `127.0.0.1:${proxyPort}`,
        services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/store', port: 6380 }],
      },
    },
  });
  return { outbound, proxyPort, wire, client };
}

describe('TCP streams', () => {
  it('let a server speak first, over mutual TLS', async () => {
    const { outbound, wire } = await startTcpPair();
    const socket = connect(outbound, '127.0.0.1');
    await readUntil(socket, 'READY\n');
    socket.write('ping');
    await readUntil(socket, 'ping');
    expect(wire.bytes()[0]).toBe(22);
    expect(wire.bytes().includes('READY')).toBe(false);
    socket.end();
    await new Promise((resolve) => socket.once('close', resolve));
  });

  it('close each direction on its own', async () => {
    const { outbound } = await startTcpPair();
    const socket = connect({ port: outbound, host: '127.0.0.1', allowHalfOpen: true });
    socket.end('last words');
    expect(await readAll(socket)).toBe('READY\nlast words');
  });

  it('can be reached through CONNECT of the HTTP proxy', async () => {
    const { proxyPort } = await startTcpPair();
    const socket = connect(proxyPort, '127.0.0.1');
    socket.write('CONNECT store:6380 HTTP/1.1\r\nhost: store:6380\r\n\r\n');
    expect(await readUntil(socket, 'READY\n')).toMatch(/^HTTP\/1\.1 200 /);
    socket.destroy();
  });

  it('end with the grace of a drain, also those behind CONNECT', async () => {
    const { outbound, proxyPort, client } = await startTcpPair();
    const sockets = [connect(outbound, '127.0.0.1'), connect(proxyPort, '127.0.0.1')];
    sockets[1].write('CONNECT store:6380 HTTP/1.1\r\nhost: store:6380\r\n\r\n');
    for (const socket of sockets) await readUntil(socket, 'READY\n');
    const closed = sockets.map((socket) => new Promise((resolve) => socket.removeAllListeners().on('close', resolve)));
    await client.proxy.drain();
    await Promise.all(closed);
  });

  it('are refused by CONNECT where no endpoint is ready', async () => {
    const { proxyPort, client } = await startTcpPair();
    client.proxy.apply([endpointsOf('store', 6380, [])], 'endpoints', []);
    const socket = connect(proxyPort, '127.0.0.1');
    socket.write('CONNECT store:6380 HTTP/1.1\r\nhost: store:6380\r\n\r\n');
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 503 /);
  });

  it.each([
    ['an unknown one', 'CONNECT nowhere:1', 502],
    ['one without endpoint', 'CONNECT reviews:9080', 503],
  ])('that CONNECT is refused for, %s, say nothing to anybody', async (_what, line, status) => {
    const authority = await createAuthority();
    const [inbound, proxyPort] = [await freePort(), await freePort()];
    const heard: (string | undefined)[] = [];
    const app = await startApp((request, response) => {
      heard.push(request.url);
      response.end();
    });
    await startProxy({
      serviceAccount: 'web',
      svid: await svidOf(authority, 'web'),
      ports: [{ port: 8080, protocol: 'http' }],
      bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 8080, app: `127.0.0.1:${app}` }] },
    });
    await startProxy({
      serviceAccount: 'cart',
      svid: await svidOf(authority, 'cart'),
      resources: [
        service('web', 8080, 'http'),
        endpointsOf('web', 8080, [{ port: inbound, identity: identityOf('web') }]),
        service('reviews', 9080, 'tcp'),
      ],
      bootstrap: { outbound: { proxy: `127.0.0.1:${proxyPort}`, services: [] } },
    });
    const ask = (early: string) => {
      const socket = connect(proxyPort, '127.0.0.1');
      socket.write(
        `${early}GET http://web.shop:8080/asked HTTP/1.1\r\nhost: web.shop:8080\r\nconnection: close\r\n\r\n`,
      );
      return readAll(socket);
    };
    expect(await ask('')).toMatch(/^HTTP\/1\.1 200 /);
    expect(heard.splice(0)).toEqual(['/asked']);
    const answer = await ask(`${line} HTTP/1.1\r\nhost: a\r\n\r\n`);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer.split('HTTP/1.1 ')).toHaveLength(2);
    expect(heard).toEqual([]);
  });

  it('are refused when no rule allows the caller', async () => {
    const policy: AccessPolicy = {
      policy: { kind: 'AccessPolicy', namespace: 'shop', name: 'store-access' },
      rules: [
        {
          name: 'nobody',
          action: 'allow',
          from: [{ kind: 'service-account', namespace: 'shop', name: 'other' }],
          to: [],
        },
      ],
    };
    const { outbound } = await startTcpPair([policy]);
    expect(await readAll(connect(outbound, '127.0.0.1'))).toBe('');
  });
});
