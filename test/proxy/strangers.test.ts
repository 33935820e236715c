import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { InboundPort, RateLimitPolicy, StrangerSettings, Workload } from '../../runtime/model/index.ts';
import { proxied } from '../support/proxy-header.ts';
import { closeAll, createAuthority, freePort, readAll, send, startApp, startProxy, svidOf } from './mesh.ts';
import { endpointsOf, forwardTo, gatewayOf, identityOf, service } from './resources.ts';

afterEach(closeAll);

/** What a client may say of itself, or of clients of its own. */
const forged = {
  forwarded: 'for=6.6.6.6',
  'x-forwarded-client-cert': 'URI=spiffe://test.local/ns/shop/sa/admin',
  'x-forwarded-for': '6.6.6.6',
  'x-forwarded-host': 'bank.example',
  'x-forwarded-port': '443',
  'x-forwarded-proto': 'https',
  'x-real-ip': '6.6.6.6',
};
const names = Object.keys(forged);
const underscored = Object.fromEntries(names.slice(1).map((name) => [name.replaceAll('-', '_'), 'forged']));

/** What is left of {@link forged}, when nobody believes it. */
const told = { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-host': 'localhost', 'x-forwarded-proto': 'http' };
const { 'x-forwarded-client-cert': _, ...believed } = forged;

/** A service behind its sidecar, which takes plain text, and behind a gateway. */
async function startMesh(
  strangers?: StrangerSettings,
  port: Partial<InboundPort> = {},
  rateLimits: readonly RateLimitPolicy[] = [],
) {
  const authority = await createAuthority();
  const [inbound, outbound, listen] = [await freePort(), await freePort(), await freePort()];
  const app = await startApp((request, response) => response.end(JSON.stringify(request.headers)));
  const { proxy } = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(authority, 'web'),
    mtls: 'permissive',
    ports: [{ port: 8080, protocol: 'http', ...port }],
    rateLimits,
    strangers,
    bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 8080, app: `127.0.0.1:${app}` }] },
  });
  const web = [
    service('web', 8080, 'http'),
    endpointsOf('web', 8080, [{ port: inbound, identity: identityOf('web') }]),
  ];
  await startProxy({
    serviceAccount: 'caller',
    svid: await svidOf(authority, 'caller'),
    resources: web,
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/web', port: 8080 }] } },
  });
  const rules = [forwardTo('shop/web', 8080, { requestHeaders: { set: [], add: [], remove: ['x-debug'] } })];
  await startProxy({
    serviceAccount: 'gateway',
    svid: await svidOf(authority, 'gateway'),
    gateway: 'shop/edge',
    strangers,
    resources: [...web, gatewayOf('edge', rules)],
    bootstrap: { gateway: [{ listen: `127.0.0.1:${listen}`, port: 80 }] },
  });
  return { ports: { plain: inbound, gateway: listen, mesh: outbound }, proxy };
}

/** The fields by which proxies speak of callers, as the application sees them, in any spelling. */
async function seen(port: number, headers: Record<string, string>): Promise<Record<string, string>> {
  const reply = await send(port, { headers: { host: 'localhost', ...headers } });
  expect(reply.status).toBe(200);
  const all: Record<string, string> = JSON.parse(reply.body.toString());
  return Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name.replaceAll('_', '-'))));
}

describe.each(['plain', 'gateway'] as const)('a stranger, at the %s port', (door) => {
  const identity = door === 'gateway' ? { 'x-forwarded-client-cert': `URI=${identityOf('gateway')}` } : {};

  it.each(names)('is not believed when it sends %s', async (name) => {
    const { ports } = await startMesh();
    expect(await seen(ports[door], { [name]: forged[name as keyof typeof forged] })).toEqual({ ...told, ...identity });
  });

  it('is not believed in the spelling of CGI, wherever it is', async () => {
    for (const strangers of [{}, { underscores: 'keep', trustedProxies: ['127.0.0.0/8'] } as const]) {
      const { ports } = await startMesh(strangers);
      expect(await seen(ports[door], underscored)).toEqual({ ...told, ...identity });
    }
  });

  it('is believed what it says of its clients where it is a trusted proxy, but not who calls', async () => {
    const { ports, proxy } = await startMesh({ trustedProxies: ['10.0.0.0/8', '127.0.0.0/8', 'fd00::/8'] });
    expect(await seen(ports[door], forged)).toEqual({ ...believed, ...identity });
    expect(await seen(ports[door], { 'x-forwarded-for': '6.6.6.6' })).toEqual({
      ...told,
      'x-forwarded-for': '6.6.6.6',
      ...identity,
    });
    expect(proxy.resources).toHaveLength(1);
  });

  it('is not believed from another network', async () => {
    const { ports } = await startMesh({ trustedProxies: ['10.0.0.0/8', 'fd00::/8', '128.0.0.0/1'] });
    expect(await seen(ports[door], forged)).toEqual({ ...told, ...identity });
  });
});

describe('fields with underscores', () => {
  const debug = { x_debug: '1', 'x-debug': '1', x_other: '1' };
  const left = async (port: number) => {
    const all: object = JSON.parse((await send(port, { headers: debug })).body.toString());
    return Object.keys(all).filter((name) => name.endsWith('debug') || name.endsWith('other'));
  };

  it('do not pass a gateway, so that a rule which removes a field removes it in every spelling', async () => {
    const { ports } = await startMesh();
    expect(await left(ports.gateway)).toEqual([]);
  });

  it('pass where the mesh says so, and within it', async () => {
    const { ports } = await startMesh({ underscores: 'keep' });
    expect(await left(ports.gateway)).toEqual(['x_debug', 'x_other']);
    const { ports: usual } = await startMesh();
    for (const door of ['plain', 'mesh'] as const) expect(await left(usual[door])).toEqual(Object.keys(debug));
  });
});

describe('a port that takes plain text', () => {
  it('believes callers of the mesh, whose identity it knows', async () => {
    const { ports } = await startMesh();
    expect(await seen(ports.mesh, forged)).toEqual({
      ...forged,
      'x-forwarded-client-cert': `URI=${identityOf('caller')}`,
    });
  });

  it('never takes an address that a PROXY header claims for that of a trusted proxy', async () => {
    const { ports } = await startMesh({ trustedProxies: ['203.0.113.0/24'] }, { proxyProtocol: true });
    const socket = connect(ports.plain, '127.0.0.1');
    socket.write(proxied('203.0.113.7', 40_000));
    socket.write('GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-forwarded-for: 6.6.6.6\r\n\r\n');
    expect(await readAll(socket)).toContain('"x-forwarded-for":"203.0.113.7"');
  });

  it('never takes it for one either when headers are expected no more by the time it comes', async () => {
    const { ports, proxy } = await startMesh({ trustedProxies: ['203.0.113.0/24'] }, { proxyProtocol: true });
    const socket = connect({ port: ports.plain, host: '127.0.0.1', noDelay: true });
    await new Promise((resolve) => socket.write(proxied('203.0.113.7', 40_000).subarray(0, 8), resolve));
    // What came before is read when this is refused.
    await expect(send(ports.plain)).rejects.toThrow();
    const workload = proxy.resources.find(({ kind }) => kind === 'workload') as Workload;
    proxy.apply([{ ...workload, ports: [{ port: 8080, protocol: 'http' }] }], 'workload', []);
    socket.write(proxied('203.0.113.7', 40_000).subarray(8));
    socket.write('GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-forwarded-for: 6.6.6.6\r\n\r\n');
    expect(await readAll(socket)).toContain('"x-forwarded-for":"203.0.113.7"');
  });

  it('counts by where callers are, not by what they say', async () => {
    const limit = (header: string): RateLimitPolicy => ({
      policy: { kind: 'RateLimitPolicy', namespace: 'shop', name: header },
      limits: [
        { name: header, requests: 1, interval: 3_600_000, burst: 2, key: { kind: 'header', name: header }, to: [] },
      ],
    });
    for (const name of ['x-forwarded-for', 'x-forwarded-client-cert']) {
      const { ports } = await startMesh({}, {}, [limit(name)]);
      const statuses: number[] = [];
      for (const each of ['1', '2', '3']) {
        statuses.push((await send(ports.plain, { headers: { [name]: each } })).status);
      }
      expect(statuses).toEqual([200, 200, 429]);
    }
  });
});
