import { connect as connectHttp2, constants, createServer as createHttp2Server } from 'node:http2';
import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { opcode, openWebSocket, startWebSocketApp, WebSocketPeer } from '../support/web-socket.ts';
import {
  closeAll,
  closeLater,
  createAuthority,
  freePort,
  send,
  startPairTo,
  startProxy,
  startServer,
  svidOf,
} from './mesh.ts';
import { endpointsOf, forwardTo, gatewayOf, identityOf, service } from './resources.ts';

afterEach(closeAll);

/** An application that speaks HTTP/2 with prior knowledge, and RFC 8441 where it says so. */
function startHttp2App(enableConnectProtocol: boolean): Promise<number> {
  const server = createHttp2Server({ settings: { enableConnectProtocol } });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'x-protocol': String(headers[':protocol']), 'x-path': String(headers[':path']) });
    stream.pipe(stream);
  });
  return startServer(server);
}

async function openSession(port: number) {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  closeLater(() => session.destroy());
  await new Promise<void>((resolve) => session.once('remoteSettings', () => resolve()));
  return session;
}

async function connectBy8441(port: number, authority = 'reviews:9080') {
  const session = await openSession(port);
  expect(session.remoteSettings.enableConnectProtocol).toBe(true);
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'http',
    ':authority': authority,
    ':path': '/chat',
    'sec-websocket-version': '13',
  });
  stream.on('error', () => {});
  const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve));
  return { session, stream, headers };
}

describe('an upgrade by RFC 8441', () => {
  it('goes through to an application that speaks it, and its directions close one by one', async () => {
    const { outbound } = await startPairTo(await startHttp2App(true), { protocol: 'http2' });
    const { stream, headers } = await connectBy8441(outbound);
    expect(headers).toMatchObject({ ':status': 200, 'x-protocol': 'websocket', 'x-path': '/chat' });
    let heard = '';
    stream.on('data', (chunk) => {
      heard += chunk;
    });
    const ended = new Promise((resolve) => stream.once('end', resolve));
    stream.write('hello');
    await eventually(() => heard === 'hello');
    stream.end(', goodbye');
    await ended;
    expect(heard).toBe('hello, goodbye');
  });

  it('is refused for an application that does not say it speaks it', async () => {
    const { outbound, client } = await startPairTo(await startHttp2App(false), { protocol: 'http2' });
    const { headers } = await connectBy8441(outbound);
    expect(headers[':status']).toBe(502);
    expect(String(headers['proxy-status'])).toContain('http_upgrade_failed');
    expect(client.log.entries.length).toBeLessThanOrEqual(1);
  });

  it.each([
    ['a body', { 'content-length': '5' }],
    ['a protocol of one hop', { ':protocol': 'h2c' }],
    ['a protocol that is none', { ':protocol': 'web socket' }],
    ['another method', { ':method': 'GET' }],
  ])('with %s is malformed', async (_title, change) => {
    const { outbound, client } = await startPairTo(await startHttp2App(true), { protocol: 'http2' });
    const session = await openSession(outbound);
    const stream = session.request({
      ...{
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': 'http',
        ':authority': 'reviews',
        ':path': '/chat',
      },
      ...change,
    });
    await new Promise((resolve) => stream.once('error', resolve).once('close', resolve));
    expect(stream.rstCode).toBe(constants.NGHTTP2_PROTOCOL_ERROR);
    expect(client.log.entries).toEqual([]);
  });

  it('at a gateway becomes a WebSocket of an application behind HTTP/1.1', async () => {
    const app = await startWebSocketApp();
    closeLater(() => app.close());
    const authority = await createAuthority();
    const [inbound, listen] = [await freePort(), await freePort()];
    await startProxy({
      serviceAccount: 'web',
      svid: await svidOf(authority, 'web'),
      ports: [{ port: 8080, protocol: 'http' }],
      bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 8080, app: `127.0.0.1:${app.port}` }] },
    });
    await startProxy({
      serviceAccount: 'gateway',
      svid: await svidOf(authority, 'gateway'),
      gateway: 'shop/shop',
      resources: [
        service('web', 8080, 'http'),
        endpointsOf('web', 8080, [{ port: inbound, identity: identityOf('web') }]),
        gatewayOf('shop', [forwardTo('shop/web', 8080)]),
      ],
      bootstrap: { gateway: [{ listen: `127.0.0.1:${listen}`, port: 80 }] },
    });
    const { stream, headers, session } = await connectBy8441(listen, 'shop.example');
    expect(headers).toMatchObject({ ':status': 200, 'x-app': 'yes' });
    expect(headers['sec-websocket-accept']).toBeUndefined();
    const peer = new WebSocketPeer(stream, true);
    peer.send(opcode.text, 'from HTTP/2');
    expect((await peer.next()).payload.toString()).toBe('from HTTP/2');
    peer.close(1000);
    await peer.untilEnd();
    // What comes before the answer waits for it.
    const hasty = session.request({
      ...{ ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', ':authority': 'shop.example' },
      ':path': '/chat',
    });
    const early = new WebSocketPeer(hasty, true);
    early.send(opcode.text, 'too early');
    expect((await early.next()).payload.toString()).toBe('too early');
    hasty.destroy();
    // The connection goes on, for other requests, and clients of HTTP/1.1 are served as before.
    const request = session.request({ ':path': '/page', ':authority': 'shop.example' });
    const answer = await new Promise<Record<string, unknown>>((resolve) => request.once('response', resolve));
    expect(answer[':status']).toBe(200);
    expect((await send(listen, { path: '/page' })).status).toBe(200);
    const { peer: other } = await openWebSocket(listen, '/chat');
    other.send(opcode.text, 'from HTTP/1.1');
    expect((await other.next()).payload.toString()).toBe('from HTTP/1.1');
    other.stream.destroy();
  });
});
