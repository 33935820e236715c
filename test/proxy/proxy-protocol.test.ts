import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { HttpListener, InboundPort } from '../../runtime/model/index.ts';
import { defaultProxyLimits } from '../../runtime/proxy/index.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { proxied, proxyHeader } from '../support/proxy-header.ts';
import {
  closeAll,
  createAuthority,
  freePort,
  type ProxyOptions,
  readAll,
  readUntil,
  send,
  startApp,
  startEcho,
  startProxy,
  svidOf,
} from './mesh.ts';
import { endpointsOf, forwardTo, gatewayOf, identityOf, service } from './resources.ts';

afterEach(closeAll);

const local = proxyHeader(0x20, 0x00, Buffer.alloc(0));
const get = 'GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\nx-forwarded-for: 6.6.6.6\r\n\r\n';

/** What is answered to these bytes, sent one after the other. */
async function talk(port: number, ...parts: readonly (Buffer | string)[]): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  for (const part of parts) {
    socket.write(part);
    await new Promise(setImmediate);
  }
  return readAll(socket);
}

/** An application behind its sidecar, and a gateway before it whose listener may want PROXY headers. */
async function startGateway(listener: Partial<HttpListener>, options: Pick<ProxyOptions, 'clock' | 'limits'> = {}) {
  const apps = await Promise.all(
    ['0', '1', '2'].map((name) =>
      startApp((request, response) => response.end(`${name} for ${request.headers['x-forwarded-for']}`)),
    ),
  );
  const authority = await createAuthority();
  const listen = await freePort();
  const gateway = await startProxy({
    serviceAccount: 'edge',
    svid: await svidOf(authority, 'edge'),
    gateway: 'shop/edge',
    ...options,
    resources: [
      { ...service('web', 80, 'http'), balancer: { kind: 'ring-hash', by: { kind: 'source' } } },
      endpointsOf(
        'web',
        80,
        apps.map((port) => ({ port })),
      ),
      gatewayOf('edge', [forwardTo('shop/web', 80)], listener),
    ],
    bootstrap: { gateway: [{ listen: `127.0.0.1:${listen}`, port: 80 }] },
  });
  return { listen, gateway };
}

const refused = ({ metrics }: Awaited<ReturnType<typeof startProxy>>) => metrics.proxyHeadersRefused.value;

describe('a gateway behind a load balancer that tells of its clients', () => {
  it('knows them by that: for the program, the log and what hashes the source', async () => {
    const { listen, gateway } = await startGateway({ proxyProtocol: true });
    expect(await talk(listen, proxied('203.0.113.7', 40_000), get)).toMatch(/\d for 203\.0\.113\.7$/);
    expect(await talk(listen, Buffer.concat([proxied('2001:db8::7', 40_000), Buffer.from(get)]))).toMatch(
      /\d for 2001:db8::7$/,
    );
    expect(gateway.log.entries.map(({ source }) => source)).toEqual(['203.0.113.7:40000', '2001:db8::7:40000']);
    const choices = new Set<string>();
    for (let host = 1; host <= 12; host++) {
      const [first, again] = [
        await talk(listen, proxied(`198.51.100.${host}`, 1), get),
        await talk(listen, proxied(`198.51.100.${host}`, 2), get),
      ];
      expect(first.at(-`d for 198.51.100.${host}`.length)).toBe(again.at(-`d for 198.51.100.${host}`.length));
      choices.add(first.split('\r\n\r\n')[1][0]);
    }
    expect(choices.size).toBeGreaterThan(1);
  });

  it('may get the header in pieces', async () => {
    const { listen } = await startGateway({ proxyProtocol: true });
    const header = proxied('203.0.113.7', 40_000, Buffer.alloc(600));
    const pieces = Array.from({ length: Math.ceil(header.length / 50) }, (_, at) =>
      header.subarray(50 * at, 50 * at + 50),
    );
    expect(await talk(listen, ...pieces, get)).toMatch(/\d for 203\.0\.113\.7$/);
  });

  it('takes the health checks of the load balancer itself', async () => {
    const { listen } = await startGateway({ proxyProtocol: true });
    expect(await talk(listen, local, get)).toMatch(/\d for 127\.0\.0\.1$/);
  });

  it.each([
    ['none', get],
    ['one of version 1', `PROXY TCP4 203.0.113.7 10.0.0.1 40000 80\r\n${get}`],
    ['a broken one', proxyHeader(0x21, 0x11, Buffer.alloc(4))],
  ])('closes connections that begin with %s, and counts them', async (_what, bytes) => {
    const { listen, gateway } = await startGateway({ proxyProtocol: true });
    expect(await talk(listen, bytes)).toBe('');
    expect(refused(gateway)).toBe(1);
    expect(gateway.log.entries).toEqual([]);
  });

  it('closes who says nothing, or half of it, after a time', async () => {
    const clock = new ManualClock();
    const { listen, gateway } = await startGateway({ proxyProtocol: true }, { clock });
    const before = clock.scheduled;
    const answers = Promise.all([talk(listen), talk(listen, local.subarray(0, 9))]);
    await eventually(() => clock.scheduled === before + 2);
    clock.advance(defaultProxyLimits.connectTimeout - 1);
    expect(refused(gateway)).toBe(0);
    clock.advance(1);
    expect(await answers).toEqual(['', '']);
    expect(refused(gateway)).toBe(2);
  });

  it('follows a change of that time with the next connection', async () => {
    const { listen, gateway } = await startGateway({ proxyProtocol: true }, { limits: { connectTimeout: 60_000 } });
    const workload = gateway.proxy.resources.find(({ kind }) => kind === 'workload');
    if (workload?.kind !== 'workload') throw new Error('there is no workload');
    gateway.proxy.apply([{ ...workload, limits: { connectTimeout: 50 } }], 'workload', []);
    expect(await talk(listen)).toBe('');
    expect(refused(gateway)).toBe(1);
  });

  it('takes no header where none was declared: nobody can pretend to be somebody else', async () => {
    const { listen, gateway } = await startGateway({});
    expect(await talk(listen, proxied('203.0.113.7', 40_000), get)).not.toContain('for 203.0.113.7');
    expect((await send(listen)).body.toString()).toMatch(/for 127\.0\.0\.1$/);
    expect(gateway.log.entries.map(({ source }) => source).join()).not.toContain('203.0.113.7');
  });

  it('follows a change of its configuration with the next connection', async () => {
    const { listen, gateway } = await startGateway({});
    const [before] = gateway.proxy.resources.filter(({ kind }) => kind === 'gateway');
    if (before.kind !== 'gateway') throw new Error('there is no gateway');
    const listeners = before.listeners.map((each) => ({ ...each, proxyProtocol: true as const }));
    gateway.proxy.apply([{ ...before, listeners }], 'gateway', []);
    expect(await talk(listen, proxied('203.0.113.7', 1), get)).toMatch(/for 203\.0\.113\.7$/);
  });
});

/** A sidecar whose port takes plain text behind PROXY headers, besides mutual TLS. */
async function startSidecar(port: Omit<InboundPort, 'port'>, app: number) {
  const listen = await freePort();
  const authority = await createAuthority();
  const sidecar = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(authority, 'web'),
    ports: [{ port: 80, ...port }],
    limits: { serverFirstDelay: 20 },
    bootstrap: { inbound: [{ listen: `127.0.0.1:${listen}`, port: 80, app: `127.0.0.1:${app}` }] },
  });
  const outbound = await freePort();
  await startProxy({
    serviceAccount: 'caller',
    svid: await svidOf(authority, 'caller'),
    resources: [
      service('web', 80, port.protocol),
      endpointsOf('web', 80, [{ port: listen, identity: identityOf('web') }]),
    ],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/web', port: 80 }] } },
  });
  return { listen, outbound, sidecar };
}

describe('a port behind a load balancer that tells of its clients', () => {
  it('of HTTP names them to the program and the log; peers of the mesh come without a header', async () => {
    const app = await startApp((request, response) => response.end(`for ${request.headers['x-forwarded-for']}`));
    const { listen, outbound, sidecar } = await startSidecar(
      { protocol: 'http', mtls: 'permissive', proxyProtocol: true },
      app,
    );
    expect(await talk(listen, proxied('203.0.113.7', 40_000), get)).toMatch(/for 203\.0\.113\.7$/);
    expect((await send(outbound)).status).toBe(200);
    expect(await talk(listen, get)).toBe('');
    expect(refused(sidecar)).toBe(1);
    expect(sidecar.log.entries.map(({ source }) => source)).toEqual(['203.0.113.7:40000', identityOf('caller')]);
  });

  it('of TCP passes on what follows the header, and lets the server speak first', async () => {
    const { listen, outbound, sidecar } = await startSidecar(
      { protocol: 'tcp', mtls: 'permissive', proxyProtocol: true },
      await startEcho('READY\n'),
    );
    const socket = connect(listen, '127.0.0.1');
    socket.write(proxied('203.0.113.7', 40_000));
    expect(await readUntil(socket, 'READY\n')).toBe('READY\n');
    socket.end('ping');
    expect(await readAll(socket)).toBe('ping');
    const peer = connect(outbound, '127.0.0.1');
    expect(await readUntil(peer, 'READY\n')).toBe('READY\n');
    peer.destroy();
    await eventually(() => sidecar.log.entries.length === 2);
    expect(sidecar.log.entries.map(({ source }) => source)).toEqual(['203.0.113.7:40000', 'shop/caller']);
  });

  it('that is strict takes no plain text, header or not', async () => {
    const { listen, sidecar } = await startSidecar(
      { protocol: 'http', proxyProtocol: true },
      await startApp((_request, response) => response.end('in')),
    );
    expect(await talk(listen, proxied('203.0.113.7', 40_000), get)).not.toContain('in');
    expect(sidecar.log.entries).toEqual([]);
  });
});
