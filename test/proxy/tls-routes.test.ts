import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { CertificateAuthority } from '../../runtime/identity/authority.ts';
import type { Resource, Service, TcpRoute, TlsRoute } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import {
  closeAll,
  closeLater,
  createAuthority,
  freePort,
  readAll,
  readUntil,
  startEcho,
  startProxy,
  startServer,
  svidOf,
} from './mesh.ts';
import { endpointsOf, identityOf, service } from './resources.ts';

afterEach(closeAll);

let authority: CertificateAuthority;
beforeEach(async () => {
  authority = await createAuthority();
});

/** An application that makes its own TLS, and says which it is and which server it was taken for. */
async function startTlsApp(name: string): Promise<number> {
  const { key, certChainPem } = await svidOf(authority, name);
  const server = createTlsServer({ key, cert: certChainPem, ALPNProtocols: ['sql', 'h2'] }, (socket) => {
    socket.on('error', () => {});
    const { servername } = socket as { servername?: string | false };
    socket.end(`${name} as ${servername || 'nobody'} by ${socket.alpnProtocol || 'none'}`);
  });
  server.on('tlsClientError', () => {});
  return startServer(server);
}

/** A service with one endpoint: an application behind a sidecar of its own. */
async function startBackend(name: string, app: number) {
  const listen = await freePort();
  const sidecar = await startProxy({
    serviceAccount: name,
    svid: await svidOf(authority, name),
    ports: [{ port: 5433, protocol: 'tcp' }],
    bootstrap: { inbound: [{ listen: `127.0.0.1:${listen}`, port: 5433, app: `127.0.0.1:${app}` }] },
  });
  const resources: Resource[] = [
    service(name, 5433, 'tcp'),
    endpointsOf(name, 5433, [{ port: listen, identity: identityOf(name) }]),
  ];
  return { sidecar, resources };
}

const to = (name: string, weight = 1): TcpRoute['backends'][0] => ({
  target: { service: `shop/${name}`, port: 5433 },
  weight,
});
const tls = (serverNames: readonly string[], ...backends: TcpRoute['backends']): TlsRoute => ({
  route: { kind: 'TLSRoute', namespace: 'shop', name: 'by-name' },
  serverNames,
  backends,
});
const tcpRoute: TcpRoute = { route: { kind: 'TCPRoute', namespace: 'shop', name: 'rest' }, backends: [to('us')] };

/** Backends `eu` and `us` of TLS, and a service `db` that the sidecar of `web` routes. */
async function startDb(routes: Partial<Service['ports'][0]>, limits = {}) {
  const backends = {
    eu: await startBackend('eu', await startTlsApp('eu')),
    us: await startBackend('us', await startTlsApp('us')),
  };
  const { ports, ...rest } = service('db', 5433, 'tcp');
  const db: Service = { ...rest, ports: [{ ...ports[0], ...routes }] };
  const [direct, proxy] = [await freePort(), await freePort()];
  const web = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(authority, 'web'),
    limits,
    resources: [db, ...backends.eu.resources, ...backends.us.resources],
    bootstrap: {
      outbound: {
        proxy: `127.0.0.1:${proxy}`,
        services: [{ listen: `127.0.0.1:${direct}`, service: 'shop/db', port: 5433 }],
      },
    },
  });
  return { ...backends, web, direct, proxy };
}

/** What the application says in TLS; rejects where there is none. */
async function ask(socket: Socket, servername?: string, options: { ALPNProtocols?: string[] } = {}): Promise<string> {
  const client = connectTls({ socket, servername, rejectUnauthorized: false, ...options });
  await once(client, 'secureConnect');
  return readAll(client);
}

const askAt = (port: number, servername?: string, options = {}) =>
  ask(connectTcp(port, '127.0.0.1'), servername, options);

/** The first bytes that Node's client sends. */
async function helloFor(servername: string): Promise<{ client: Socket; wire: Socket; first: Buffer }> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = connectTls({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    servername,
    rejectUnauthorized: false,
  });
  client.on('error', () => {});
  const [wire] = (await once(server, 'connection')) as [Socket];
  wire.on('error', () => {});
  const [first] = (await once(wire, 'data')) as [Buffer];
  wire.pause();
  server.close();
  closeLater(() => {
    client.destroy();
    wire.destroy();
  });
  return { client, wire, first };
}

describe('a connection of TLS', () => {
  const tlsRoutes = [tls(['eu.db.example', '*.eu.example'], to('eu')), tls(['*.example', 'us.db.example'], to('us'))];

  it('goes where the server leads that its handshake names, through both sidecars, with its bytes untouched', async () => {
    const { direct, eu, us, web } = await startDb({ tlsRoutes });
    expect(await askAt(direct, 'eu.db.example', { ALPNProtocols: ['sql'] })).toBe('eu as eu.db.example by sql');
    expect(await askAt(direct, 'EU.db.Example')).toMatch(/^eu as eu.db.example/i);
    expect(await askAt(direct, 'us.db.example')).toBe('us as us.db.example by none');
    // The exact name before a wildcard, the longer wildcard before the shorter one.
    expect(await askAt(direct, 'a.b.eu.example')).toMatch(/^eu/);
    expect(await askAt(direct, 'eu.example')).toMatch(/^us/);
    const sources = ({ log }: typeof web) => log.entries.map(({ source }) => source);
    await eventually(() => sources(eu.sidecar).length === 3 && sources(us.sidecar).length === 2);
    expect(new Set([...sources(eu.sidecar), ...sources(us.sidecar)])).toEqual(new Set(['shop/web']));
    expect(web.log.entries).toContainEqual(
      expect.objectContaining({ authority: 'us.db.example', route: 'TLSRoute shop/by-name', target: 'shop/us' }),
    );
  });

  it('is told apart after CONNECT as well', async () => {
    const { proxy } = await startDb({ tlsRoutes });
    const tunnel = async (servername: string) => {
      const socket = connectTcp(proxy, '127.0.0.1');
      socket.write('CONNECT db.shop:5433 HTTP/1.1\r\nhost: db.shop\r\n\r\n');
      await once(socket, 'data');
      return ask(socket, servername);
    };
    expect(await tunnel('eu.db.example')).toMatch(/^eu/);
    expect(await tunnel('us.db.example')).toMatch(/^us/);
  });

  it('may send its handshake together with CONNECT', async () => {
    const { proxy } = await startDb({ tlsRoutes });
    const { client, wire, first } = await helloFor('eu.db.example');
    const socket = connectTcp(proxy, '127.0.0.1');
    closeLater(() => void socket.destroy());
    socket.write(Buffer.concat([Buffer.from('CONNECT db.shop:5433 HTTP/1.1\r\nhost: db.shop\r\n\r\n'), first]));
    const established = 'HTTP/1.1 200 Connection Established\r\n\r\n';
    let skip = established.length;
    socket.on('data', (chunk: Buffer) => {
      const rest = chunk.subarray(skip);
      skip = Math.max(0, skip - chunk.length);
      if (rest.length > 0) wire.write(rest);
    });
    wire.on('data', (chunk) => socket.write(chunk));
    wire.resume();
    expect(await readUntil(client, 'by')).toMatch(/^eu as eu.db.example/);
  });

  it.each([
    ['names another server', 'db.example.com'],
    ['names none', undefined],
  ])('that %s is closed, and the log says why', async (_which, servername) => {
    const { direct, web } = await startDb({ tlsRoutes });
    await expect(askAt(direct, servername)).rejects.toThrow();
    await eventually(() => web.log.entries.length === 1);
    expect(web.log.entries[0].error).toBe(`no TLSRoute is for ${servername ?? 'a connection that names no server'}`);
  });

  it('that names no server of a route goes where a TCPRoute of the same port says', async () => {
    const { direct } = await startDb({ tlsRoutes: [tls(['eu.db.example'], to('eu'))], tcpRoute });
    expect(await askAt(direct)).toMatch(/^us as nobody/);
    expect(await askAt(direct, 'db.example.com')).toMatch(/^us/);
    expect(await askAt(direct, 'eu.db.example')).toMatch(/^eu/);
  });

  it('follows the weights of its route, and is closed where it leads nowhere', async () => {
    const problem = { problem: 'BackendNotFound: Service shop/gone is not there', weight: 1 };
    const { direct, web } = await startDb({
      tlsRoutes: [tls(['a.example'], to('eu', 0), to('us', 1)), tls(['b.example'], problem)],
    });
    expect(await askAt(direct, 'a.example')).toMatch(/^us/);
    await expect(askAt(direct, 'b.example')).rejects.toThrow();
    await eventually(() => web.log.entries.some(({ error }) => error?.includes('Service shop/gone is not there')));
  });

  it("follows the routes of its caller's own namespace where there are any, and no others", async () => {
    const { direct } = await startDb({
      tcpRoute,
      tlsRoutes: [tls(['a.example'], to('us'))],
      consumerTlsRoutes: { shop: [tls(['a.example'], to('eu'))] },
    });
    expect(await askAt(direct, 'a.example')).toMatch(/^eu/);
    await expect(askAt(direct, 'b.example')).rejects.toThrow();
  });

  it('arrives whole however its handshake is cut', async () => {
    const { direct } = await startDb({ tlsRoutes });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('eu', 'us'),
        fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 6 }),
        async (name, records, packets) => {
          const { client, wire, first } = await helloFor(`${name}.db.example`);
          const socket = connectTcp({ port: direct, host: '127.0.0.1', noDelay: true });
          socket.on('data', (chunk) => wire.write(chunk));
          for (const packet of cut(inRecords(first, records), packets)) {
            socket.write(packet);
            await new Promise(setImmediate);
          }
          wire.on('data', (chunk) => socket.write(chunk));
          wire.resume();
          expect(await readUntil(client, 'by')).toContain(`${name} as ${name}.db.example`);
          for (const each of [socket, client, wire]) each.destroy();
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('a port with TLS routes', () => {
  const tlsRoutes = [tls(['eu.db.example'], to('eu'))];

  it('closes at once what is no TLS', async () => {
    const { direct } = await startDb({ tlsRoutes }, { connectTimeout: 60_000 });
    const socket = connectTcp(direct, '127.0.0.1');
    socket.write('SELECT 1');
    expect(await readAll(socket)).toBe('');
  });

  it('closes who says nothing, or never gets to the end, after a time', async () => {
    const { direct } = await startDb({ tlsRoutes }, { connectTimeout: 50 });
    const silent = connectTcp(direct, '127.0.0.1');
    const slow = connectTcp(direct, '127.0.0.1');
    slow.write((await helloFor('eu.db.example')).first.subarray(0, 40));
    expect(await Promise.all([readAll(silent), readAll(slow)])).toEqual(['', '']);
  });

  it('forgets who leaves before the end', async () => {
    const { direct, web } = await startDb({ tlsRoutes }, { connectTimeout: 60_000 });
    const socket = connectTcp(direct, '127.0.0.1');
    socket.end((await helloFor('eu.db.example')).first.subarray(0, 40));
    expect(await readAll(socket)).toBe('');
    const left = Date.now();
    await web.proxy.drain();
    expect(Date.now() - left).toBeLessThan(1_500);
  });

  it('lets a server speak first to a client that waits for it, where a TCPRoute takes what is no TLS', async () => {
    const greeter = await startBackend('us', await startEcho('READY\n'));
    const { direct, web } = await startDb({ tlsRoutes, tcpRoute }, { serverFirstDelay: 20, connectTimeout: 60_000 });
    for (const resource of greeter.resources) web.proxy.apply([resource], resource.kind, []);
    const socket = connectTcp(direct, '127.0.0.1');
    expect(await readUntil(socket, 'READY\n')).toBe('READY\n');
    socket.write('ping');
    expect(await readUntil(socket, 'ping')).toContain('ping');
    socket.destroy();
  });

  it('does not make others wait: a server speaks first at once where there are none', async () => {
    const greeter = await startBackend('us', await startEcho('READY\n'));
    const { direct, web } = await startDb({ tcpRoute }, { serverFirstDelay: 60_000, connectTimeout: 60_000 });
    for (const resource of greeter.resources) web.proxy.apply([resource], resource.kind, []);
    const socket = connectTcp(direct, '127.0.0.1');
    expect(await readUntil(socket, 'READY\n')).toBe('READY\n');
    socket.destroy();
  });
});

describe('a listener that passes TLS on', () => {
  it('sends it by the server that it names, and logs who came', async () => {
    const [eu, us] = [
      await startBackend('eu', await startTlsApp('eu')),
      await startBackend('us', await startTlsApp('us')),
    ];
    const listen = await freePort();
    const gateway = await startProxy({
      serviceAccount: 'edge',
      svid: await svidOf(authority, 'edge'),
      gateway: 'shop/edge',
      resources: [
        ...eu.resources,
        ...us.resources,
        {
          kind: 'gateway',
          name: 'shop/edge',
          listeners: [
            { name: 'eu', port: 443, protocol: 'tls', tlsRoutes: [tls(['*.eu.example'], to('eu'))] },
            { name: 'all', port: 443, protocol: 'tls', tlsRoutes: [tls(['us.example'], to('us'))] },
          ],
        },
      ],
      bootstrap: { gateway: [{ listen: `127.0.0.1:${listen}`, port: 443 }] },
    });
    expect(await askAt(listen, 'db.eu.example')).toBe('eu as db.eu.example by none');
    expect(await askAt(listen, 'us.example')).toMatch(/^us/);
    await expect(askAt(listen, 'elsewhere.example')).rejects.toThrow();
    await eventually(() => gateway.log.entries.length === 3);
    const entry = gateway.log.entries.find(({ target }) => target === 'shop/eu');
    expect(entry).toMatchObject({ direction: 'gateway', service: 'shop/edge', authority: 'db.eu.example', mtls: true });
    expect(entry?.source).toMatch(/^127\.0\.0\.1:\d+$/);
    await eventually(() => eu.sidecar.log.entries.length === 1);
    expect(eu.sidecar.log.entries[0].source).toBe('shop/edge');
    // A client's address is no label.
    expect(gateway.metrics.registry.expose()).not.toMatch(/tcp_connections_opened_total\{[^}]*127\.0\.0\.1/);
  });
});

/** The same message in records of these sizes, and a last one. */
function inRecords(hello: Buffer, sizes: readonly number[]): Buffer {
  const records: Buffer[] = [];
  const parts = cut(hello.subarray(5), sizes);
  for (const part of parts) records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  return Buffer.concat(records);
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const parts: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    if (at + size >= bytes.length) break;
    parts.push(bytes.subarray(at, at + size));
    at += size;
  }
  return [...parts, bytes.subarray(at)];
}
