import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  connect as connectHttp2,
  createServer as createHttp2Server,
  createSecureServer,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { AccessPolicy, InboundPort } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { selfSigned } from '../support/self-signed.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { acceptOf, opcode, openWebSocket, WebSocketPeer } from '../support/web-socket.ts';
import {
  closeAll,
  closeLater,
  createAuthority,
  freePort,
  type PairOptions,
  type RunningProxy,
  readAll,
  send,
  startApp,
  startPairTo,
  startProxy,
  startServer,
  svidOf,
} from './mesh.ts';
import { endpointsOf, identityOf, service } from './resources.ts';

let key: Buffer;
let cert: Buffer;
let other: { key: Buffer; cert: Buffer };

beforeAll(() => {
  using directory = new TemporaryDirectory();
  const [first, second] = [selfSigned(directory.path), selfSigned(directory.path)];
  [key, cert] = [first.key, first.certificate];
  other = { key: second.key, cert: second.certificate };
});
afterEach(closeAll);
afterAll(closeAll);

const pair = (port: number, options: PairOptions = {}) => startPairTo(port, { appTls: 'unverified', ...options });

/** Node's own HTTPS server; it says with what TLS it was spoken to. */
async function startHttps(answer?: (request: IncomingMessage, response: ServerResponse) => void) {
  const sockets: TLSSocket[] = [];
  const server = createHttpsServer({ key, cert, requestCert: true, rejectUnauthorized: false });
  server.on('request', answer ?? ((request, response) => request.pipe(response)));
  server.on('secureConnection', (socket) => sockets.push(socket));
  return { port: await startServer(server), server, sockets };
}

async function startSecureHttp2(serve: (stream: ServerHttp2Stream, headers: NodeJS.Dict<unknown>) => void) {
  const sockets: TLSSocket[] = [];
  const server = createSecureServer({ key, cert });
  server.on('secureConnection', (socket) => sockets.push(socket));
  server.on('sessionError', () => {});
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    serve(stream, headers);
  });
  return { port: await startServer(server), sockets };
}

function declare({ proxy }: RunningProxy, port: InboundPort): void {
  const workload = proxy.resources.find(({ kind }) => kind === 'workload');
  if (workload?.kind !== 'workload') throw new Error('there is no workload');
  expect(proxy.apply([{ ...workload, ports: [port] }], 'workload', [])).toEqual([]);
}

describe('an application that listens with TLS only', () => {
  it('is spoken to by HTTP/1.1, on connections that are kept', async () => {
    const { port, sockets } = await startHttps();
    const { outbound, server } = await pair(port);
    const body = Buffer.alloc(300_000, 'abc');
    for (let i = 0; i < 3; i++) {
      const reply = await send(outbound, { method: 'POST', body });
      expect(reply.status).toBe(200);
      expect(reply.body.equals(body)).toBe(true);
    }
    expect(sockets).toHaveLength(1);
    const [socket] = sockets;
    expect([socket.alpnProtocol, socket.servername]).toEqual(['http/1.1', false]);
    expect(socket.getPeerX509Certificate()).toBeUndefined();
    expect(['TLSv1.2', 'TLSv1.3']).toContain(socket.getProtocol());
    await eventually(() => server.log.entries.length === 3);
    expect(server.log.entries[0]).toMatchObject({ direction: 'inbound', method: 'POST', status: 200, mtls: true });
  });

  it('need know nothing of ALPN where it speaks HTTP/1.1, nor of TLS 1.3', async () => {
    const app = createTlsServer({ key, cert, maxVersion: 'TLSv1.2' }, (socket) => {
      socket.on('error', () => {}).on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nold'));
    });
    const { outbound } = await pair(await startServer(app));
    expect((await send(outbound)).body.toString()).toBe('old');
  });

  it.each(['http2', 'grpc'] as const)('is spoken to by HTTP/2, trailers included (%s)', async (protocol) => {
    const seen: unknown[] = [];
    const { port, sockets } = await startSecureHttp2((stream, headers) => {
      seen.push(headers[':scheme']);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '5' }));
      stream.pipe(stream);
    });
    const { outbound } = await pair(port, { protocol });
    const session = connectHttp2(`http://127.0.0.1:${outbound}`);
    closeLater(() => session.destroy());
    const call = session.request({
      ':method': 'POST',
      ':path': '/a/B',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const trailers = new Promise<NodeJS.Dict<unknown>>((resolve) => call.on('trailers', resolve));
    call.end('a message');
    let text = '';
    for await (const chunk of call) text += chunk;
    expect(text).toBe('a message');
    expect(await trailers).toMatchObject({ 'grpc-status': '5' });
    expect(sockets.map(({ alpnProtocol }) => alpnProtocol)).toEqual(['h2']);
    expect(seen).toEqual(['https']);
  });

  it('takes upgrades', async () => {
    const { port, server } = await startHttps();
    server.on('upgrade', (request, stream) => {
      const accept = acceptOf(String(request.headers['sec-websocket-key']));
      stream.write(
        `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
      );
      const peer = new WebSocketPeer(stream, false);
      peer.onFrame = (frame) => peer.send(frame.opcode, frame.payload);
    });
    const { outbound } = await pair(port);
    const { peer } = await openWebSocket(outbound, '/chat');
    peer.send(opcode.text, 'hello');
    expect((await peer.next()).payload.toString()).toBe('hello');
    peer.stream.destroy();
  });

  it('is protected by method and path as any other', async () => {
    const { port } = await startHttps();
    const policy = { kind: 'AccessPolicy', namespace: 'shop', name: 'reads' } as const;
    const access: AccessPolicy[] = [
      { policy, rules: [{ name: 'no-posts', action: 'deny', from: [], to: [{ methods: ['POST'], paths: [] }] }] },
    ];
    const { outbound } = await pair(port, { access });
    expect((await send(outbound, { method: 'POST', body: 'x' })).status).toBe(403);
  });

  it('may change its certificate', async () => {
    const { port, server, sockets } = await startHttps((_request, response) => response.end('ok'));
    const { outbound } = await pair(port);
    expect((await send(outbound)).status).toBe(200);
    server.setSecureContext(other);
    server.closeIdleConnections();
    expect((await send(outbound)).status).toBe(200);
    expect(sockets).toHaveLength(2);
  });

  it('may close idle connections: the next request gets another one', async () => {
    const { port, server, sockets } = await startHttps((_request, response) => response.end('ok'));
    const { outbound } = await pair(port);
    for (let i = 0; i < 4; i++) {
      expect((await send(outbound, { method: 'POST', body: 'x' })).status).toBe(200);
      const closed = new Promise((resolve) => sockets.at(-1)?.once('close', resolve));
      server.closeIdleConnections();
      await closed;
    }
    expect(sockets).toHaveLength(4);
  });

  it('may cut a connection that is used again: the request is sent once more', async () => {
    let connections = 0;
    const app = createTlsServer({ key, cert }, (socket) => {
      let requests = 0;
      const mine = connections++;
      socket
        .on('error', () => {})
        .on('data', () => {
          if (mine === 0 && requests++ > 0) socket.destroy();
          else socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n${mine}`);
        });
    });
    const { outbound } = await pair(await startServer(app));
    expect((await send(outbound)).body.toString()).toBe('0');
    expect((await send(outbound)).body.toString()).toBe('1');
  });

  it('is spoken to as its port says now', async () => {
    const { port } = await startHttps((_request, response) => response.end('secret'));
    const { outbound, server } = await pair(port);
    expect((await send(outbound)).body.toString()).toBe('secret');
    declare(server, { port: 9080, protocol: 'http' });
    expect((await send(outbound)).body.toString()).not.toBe('secret');
    declare(server, { port: 9080, protocol: 'http', appTls: 'unverified' });
    expect((await send(outbound)).body.toString()).toBe('secret');
  });

  it('is called with TLS by its own pod, too, and told anew when that changes', async () => {
    const { port } = await startHttps((_request, response) => response.end('me'));
    const [outbound, inbound, sending] = [await freePort(), await freePort(), await freePort()];
    const own = service('reviews', 80, 'http');
    const withTls = { ...own, ports: own.ports.map((each) => ({ ...each, appTls: 'unverified' as const })) };
    const { proxy } = await startProxy({
      serviceAccount: 'reviews',
      svid: await svidOf(await createAuthority(), 'reviews'),
      resources: [withTls, endpointsOf('reviews', 80, [{ port, identity: identityOf('reviews') }])],
      bootstrap: {
        transparent: { inbound: `127.0.0.1:${inbound}`, outbound: `127.0.0.1:${sending}`, podIp: '127.0.0.1' },
        outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 80 }] },
      },
    });
    expect((await send(outbound)).body.toString()).toBe('me');
    proxy.apply([own], 'service', []);
    expect((await send(outbound)).status).not.toBe(200);
    proxy.apply([withTls], 'service', []);
    expect((await send(outbound)).body.toString()).toBe('me');
  });

  it('is not called with TLS across pods, where nobody would know who answers', async () => {
    const { port, sockets } = await startHttps();
    const outbound = await freePort();
    const outside = service('reviews', 80, 'http');
    await startProxy({
      serviceAccount: 'web',
      svid: await svidOf(await createAuthority(), 'web'),
      resources: [
        { ...outside, ports: outside.ports.map((each) => ({ ...each, appTls: 'unverified' as const })) },
        endpointsOf('reviews', 80, [{ port }]),
      ],
      bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 80 }] } },
    });
    expect((await send(outbound)).status).not.toBe(200);
    expect(sockets).toEqual([]);
  });

  it('takes plain text of strangers through its sidecar, but not their TLS', async () => {
    const { port, sockets } = await startHttps((_request, response) => response.end('in'));
    const inbound = await freePort();
    await startProxy({
      serviceAccount: 'reviews',
      svid: await svidOf(await createAuthority(), 'reviews'),
      mtls: 'permissive',
      ports: [{ port: 9080, protocol: 'http', appTls: 'unverified' }],
      bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 9080, app: `127.0.0.1:${port}` }] },
    });
    expect((await send(inbound)).body.toString()).toBe('in');
    const stranger = connectTls({ port: inbound, host: '127.0.0.1', rejectUnauthorized: false });
    stranger.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    expect(await readAll(stranger)).toBe('');
    expect(sockets).toHaveLength(1);
  });
});

describe('an application that should speak TLS, but', () => {
  const refusal = async (port: number, options: PairOptions = {}) => {
    const { outbound, server } = await pair(port, options);
    const { status, headers } = await send(outbound);
    await eventually(() => server.log.entries.length > 0);
    const { error, response_flags: flags } = server.log.entries[0];
    return { status, said: String(headers['proxy-status']), error, flags };
  };

  it('takes plain text', async () => {
    const port = await startApp((_request, response) => response.end('plain'));
    const { status, said, error, flags } = await refusal(port);
    expect(status).toBe(503);
    expect(said).toContain('error=tls_protocol_error');
    expect(said).toMatch(/its TLS handshake failed \(.*\); it seems to speak plain text/);
    expect(error).toContain('it seems to speak plain text');
    expect(flags).toBe('UF');
  });

  it('takes HTTP/2 in plain text', async () => {
    const server = createHttp2Server().on('sessionError', () => {});
    const { status, said } = await refusal(await startServer(server), { protocol: 'grpc' });
    expect([status, said]).toEqual([503, expect.stringContaining('it seems to speak plain text')]);
  });

  it('refuses HTTP/2 by ALPN', async () => {
    const { port, server } = await startHttps();
    server.on('tlsClientError', () => {});
    const { status, said } = await refusal(port, { protocol: 'http2' });
    expect([status, said]).toEqual([503, expect.stringMatching(/TLS handshake failed \(.*no application protocol/)]);
  });

  it('knows nothing of ALPN, where HTTP/2 is declared', async () => {
    const app = createTlsServer({ key, cert }, (socket) => void socket.on('error', () => {}).resume());
    const { status, said } = await refusal(await startServer(app), { protocol: 'http2' });
    expect([status, said]).toEqual([503, expect.stringContaining('does not agree on h2 (ALPN): it answers nothing')]);
  });

  it('does not listen: another replica may', async () => {
    const { status, said, error } = await refusal(await freePort());
    expect([status, said]).toEqual([503, expect.stringContaining('cannot take the request now')]);
    expect(error).toContain('ECONNREFUSED');
  });

  it('says nothing', async () => {
    const silent = createHttpServer();
    silent.removeAllListeners('connection');
    const { status, error } = await refusal(await startServer(silent), { limits: { connectTimeout: 500 } });
    expect([status, error]).toEqual([503, expect.stringContaining('within 500 ms')]);
  });
});
