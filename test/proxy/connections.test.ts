import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, it } from '@jest/globals';
import { CertificateAuthority } from '../../runtime/identity/authority.ts';
import type { Svid } from '../../runtime/identity/index.ts';
import { systemClock, type Workload } from '../../runtime/model/index.ts';
import { defaultHttpLimits } from '../../runtime/net/index.ts';
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
  svidOf,
} from './mesh.ts';
import { endpointsOf, identityOf, service } from './resources.ts';

afterEach(closeAll);

/** SETTINGS, and a PING that is to be answered. */
const ping = Buffer.concat([
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
  Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0]),
  Buffer.from('echo me!'),
]);

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

/** `web` calls `reviews` at a port, where it expects a peer of that identity. */
async function startCaller(svid: Svid, inbound: number, peer = 'reviews') {
  const outbound = await freePort();
  const client = await startProxy({
    serviceAccount: 'web',
    svid,
    resources: [
      service('reviews', 9080, 'http'),
      endpointsOf('reviews', 9080, [{ port: inbound, identity: identityOf(peer) }]),
    ],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] } },
  });
  return { client, outbound };
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
    const { outbound } = await startCaller(await svidOf(authority, 'web'), inbound);
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
      const inbound = await freePort();
      await startProxy({
        serviceAccount: 'reviews',
        svid: server,
        ports: [{ port: 9080, protocol: 'http' }],
        bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 9080, app: `127.0.0.1:${app}` }] },
      });
      const { outbound } = await startCaller(client, inbound);
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
    const { outbound } = await startCaller(await svidOf(authority, 'web'), inbound, 'somebody-else');
    const reply = await send(outbound);
    expect(reply.status).toBe(503);
    expect(reply.body.toString()).toContain(`expected peer ${identityOf('somebody-else')}`);
  });

  it('outlives a new certificate, and new connections prove the new one', async () => {
    const { authority, inbound, server } = await startInbound();
    const { client, outbound } = await startCaller(await svidOf(authority, 'web'), inbound);
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
