import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, it } from '@jest/globals';
import { CertificateAuthority } from '../../runtime/identity/authority.ts';
import type { Svid } from '../../runtime/identity/index.ts';
import { type AccessPolicy, systemClock, type Workload } from '../../runtime/model/index.ts';
import { defaultHttpLimits, type HttpLimits } from '../../runtime/net/index.ts';
import type { ProxyLimits } from '../../runtime/proxy/index.ts';
import {
  closeAll,
  createAuthority,
  freePort,
  readAll,
  readUntil,
  send,
  startApp,
  startEcho,
  startProxy,
  startWiretap,
  svidOf,
} from './mesh.ts';
import { endpointsOf, forwardTo, gatewayOf, identityOf, service } from './resources.ts';

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

/** SETTINGS, and a PING that is to be answered. */
const ping = Buffer.concat([
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
  Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0]),
  Buffer.from('echo me!'),
]);

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

async function startInbound(mtls: Workload['mtls'] = 'strict', limits: Partial<ProxyLimits> = {}) {
  const authority = await createAuthority();
  const inbound = await freePort();
  const app = await startApp((_request, response) => response.end('in'));
  const server = await startProxy({
    serviceAccount: 'reviews',
    svid: await svidOf(authority, 'reviews'),
    ports: [{ port: 9080, protocol: 'http' }],
    mtls,
    limits,
    bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 9080, app: `127.0.0.1:${app}` }] },
  });
  return { authority, inbound, server };
}

/** Opens a connection, says `words` and ends; resolves with what was said back when the other side has ended too. */
function speakAndEnd(port: number, words: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.end(words);
  return readAll(socket);
}

describe('an inbound port', () => {
  it.each(['strict', 'permissive'] as const)('in %s mode lets go of who connects and says nothing', async (mode) => {
    const { inbound } = await startInbound(mode, {
      connectTimeout: 50,
      http: { ...defaultHttpLimits, idleTimeout: 50 },
    });
    expect(await speakAndEnd(inbound, '')).toBe('');
    expect(await readAll(connect(inbound, '127.0.0.1'))).toBe('');
  });

  it('accepts mutual TLS in permissive mode as well', async () => {
    const { authority, inbound, server } = await startInbound('permissive');
    const outbound = await freePort();
    await startProxy({
      serviceAccount: 'web',
      svid: await svidOf(authority, 'web'),
      resources: [
        service('reviews', 9080, 'http'),
        endpointsOf('reviews', 9080, [{ port: inbound, identity: identityOf('reviews') }]),
      ],
      bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] } },
    });
    expect((await send(outbound)).status).toBe(200);
    expect(server.log.entries).toMatchObject([{ mtls: true, source: identityOf('web') }]);
  });

  it('lets a server speak first to a plain client in permissive mode, after a moment', async () => {
    const authority = await createAuthority();
    const inbound = await freePort();
    await startProxy({
      serviceAccount: 'store',
      svid: await svidOf(authority, 'store'),
      ports: [{ port: 6380, protocol: 'tcp' }],
      mtls: 'permissive',
      limits: { serverFirstDelay: 50, connectTimeout: 60_000 },
      bootstrap: {
        inbound: [{ listen: `127.0.0.1:${inbound}`, port: 6380, app: `127.0.0.1:${await startEcho('READY\n')}` }],
      },
    });
    const socket = connect(inbound, '127.0.0.1');
    await readUntil(socket, 'READY\n');
    socket.destroy();
  });

  it('refuses plain text in strict mode', async () => {
    const { inbound } = await startInbound();
    await expect(send(inbound)).rejects.toThrow();
  });

  it('resumes no session: each connection shows its certificate', async () => {
    const { authority, inbound } = await startInbound();
    const { key, certChainPem: cert } = await svidOf(authority, 'web');
    const shake = async (session?: Buffer) => {
      const socket = connectTls({
        ...{ host: '127.0.0.1', port: inbound, ca: authority.bundlePem, key, cert, session, ALPNProtocols: ['h2'] },
        checkServerIdentity: () => undefined,
      });
      const sessions: Buffer[] = [];
      socket.on('session', (each: Buffer) => sessions.push(each)).on('error', () => {});
      // An answer comes after all that belongs to the handshake.
      let reused = false;
      socket.once('secureConnect', () => {
        reused = socket.isSessionReused();
        socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), ping]));
      });
      let answer = Buffer.alloc(0);
      for await (const chunk of socket) {
        answer = Buffer.concat([answer, chunk as Buffer]);
        if (answer.includes('echo me!')) break;
      }
      return { sessions, reused, served: answer.includes('echo me!') };
    };
    // OpenSSL hands out sessions of TLS 1.3 even so; what counts is that nobody gets in by one.
    const { sessions, ...first } = await shake();
    expect(first).toEqual({ reused: false, served: true });
    for (const session of sessions) expect(await shake(session)).toMatchObject({ reused: false, served: true });
  });

  it('accepts plain text in permissive mode, as a caller without identity', async () => {
    const { inbound, server } = await startInbound('permissive');
    expect((await send(inbound)).body.toString()).toBe('in');
    expect(server.log.entries[0]).toMatchObject({ mtls: false, status: 200 });
    expect(server.metrics.registry.expose()).toContain('source="unknown"');
  });

  it('refuses certificates of another authority, of another trust domain, and none', async () => {
    const { authority, inbound } = await startInbound();
    const stranger = await createAuthority();
    const foreign = await createAuthority('elsewhere.local');
    const attempts = [await svidOf(stranger, 'web'), await svidOf(foreign, 'web'), undefined];
    for (const svid of attempts) {
      const socket = connectTls({
        host: '127.0.0.1',
        port: inbound,
        ca: authority.bundlePem,
        checkServerIdentity: () => undefined,
        ...(svid && { key: svid.key, cert: svid.certChainPem }),
      });
      socket.once('secureConnect', () => socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'));
      expect(await readAll(socket)).toBe('');
    }
  });
});

/** The machine's clock, some days ago. */
function clockOf(daysAgo: number): typeof systemClock {
  return { ...systemClock, wallTime: () => systemClock.wallTime() - daysAgo * 86_400_000 };
}

describe('an expired certificate', () => {
  it('is refused by who is called, and by who calls', async () => {
    const past = clockOf(3);
    const authority = await createAuthority(undefined, past);
    const current = await CertificateAuthority.load({
      certificatePem: authority.certificatePem,
      keyPem: authority.keyPem,
      clock: systemClock,
    });
    const app = await startApp((_request, response) => response.end('in'));
    const reach = async (server: Svid, client: Svid) => {
      const [inbound, outbound] = [await freePort(), await freePort()];
      await startProxy({
        serviceAccount: 'reviews',
        svid: server,
        ports: [{ port: 9080, protocol: 'http' }],
        bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 9080, app: `127.0.0.1:${app}` }] },
      });
      await startProxy({
        serviceAccount: 'web',
        svid: client,
        resources: [
          service('reviews', 9080, 'http'),
          endpointsOf('reviews', 9080, [{ port: inbound, identity: identityOf('reviews') }]),
        ],
        bootstrap: {
          outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] },
        },
      });
      return send(outbound);
    };
    const [oldServer, oldClient] = [await svidOf(authority, 'reviews', past), await svidOf(authority, 'web', past)];
    const [newServer, newClient] = [await svidOf(current, 'reviews'), await svidOf(current, 'web')];
    expect((await reach(newServer, newClient)).status).toBe(200);
    const called = await reach(oldServer, newClient);
    expect(called.status).toBe(503);
    expect(called.body.toString()).toContain('certificate has expired');
    expect((await reach(newServer, oldClient)).status).toBeGreaterThanOrEqual(502);
  });
});

describe('an outbound connection', () => {
  it('refuses a peer that is not who the configuration says', async () => {
    const { authority, inbound } = await startInbound();
    const outbound = await freePort();
    await startProxy({
      serviceAccount: 'web',
      svid: await svidOf(authority, 'web'),
      resources: [
        service('reviews', 9080, 'http'),
        endpointsOf('reviews', 9080, [{ port: inbound, identity: identityOf('somebody-else') }]),
      ],
      bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] } },
    });
    const reply = await send(outbound);
    expect(reply.status).toBe(503);
    expect(reply.body.toString()).toContain(`expected peer ${identityOf('somebody-else')}`);
  });

  it('outlives a new certificate, and new connections prove the new one', async () => {
    const { authority, inbound, server } = await startInbound();
    const outbound = await freePort();
    const client = await startProxy({
      serviceAccount: 'web',
      svid: await svidOf(authority, 'web'),
      resources: [
        service('reviews', 9080, 'http'),
        endpointsOf('reviews', 9080, [{ port: inbound, identity: identityOf('reviews') }]),
      ],
      bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] } },
    });
    const agent = new Agent({ keepAlive: true });
    const get = () =>
      new Promise<{ status: number | undefined; localPort: number | undefined }>((resolve, reject) => {
        const request = httpRequest({ host: '127.0.0.1', port: outbound, agent }, (response) => {
          const localPort = request.socket?.localPort;
          response.resume();
          response.on('end', () => resolve({ status: response.statusCode, localPort }));
        });
        request.on('error', reject);
        request.end();
      });
    const before = await get();
    client.proxy.setSvid(await svidOf(authority, 'web'));
    server.proxy.setSvid(await svidOf(authority, 'reviews'));
    const after = await get();
    agent.destroy();
    expect(after).toEqual({ status: 200, localPort: before.localPort });
    expect((await send(outbound)).status).toBe(200);
  });
});

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
