import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2, constants, createServer as createHttp2Server } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { AccessPolicy, HttpRule } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { acceptOf, opcode, openWebSocket, startWebSocketApp, WebSocketPeer } from '../support/web-socket.ts';
import {
  closeAll,
  closeLater,
  createAuthority,
  freePort,
  type PairOptions,
  readAll,
  readUntil,
  send,
  startPairTo,
  startProxy,
  startRawApp,
  startServer,
  svidOf,
} from './mesh.ts';
import { endpointsOf, forwardTo, gatewayOf, identityOf, service } from './resources.ts';

afterEach(closeAll);

async function startChat(options: PairOptions = {}) {
  const requests: IncomingMessage[] = [];
  const app = await startWebSocketApp((request) => requests.push(request));
  closeLater(() => app.close());
  return { ...(await startPairTo(app.port, options)), app, requests };
}

/** Answers every request with the same bytes, and keeps what it is told. */
async function startFixedApp(answer: string) {
  const heard: string[] = [];
  const port = await startRawApp((socket) => {
    socket.on('data', (chunk) => {
      heard.push(chunk.toString('latin1'));
      socket.write(answer);
    });
  });
  return { port, heard };
}

const upgradeTo = (protocol: string, more = ''): string =>
  `GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: ${protocol}\r\n${more}\r\n`;
const key = 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const switching = (protocol: string): string =>
  `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${protocol}\r\n\r\n`;

function allow(methods: string[], path: string): AccessPolicy {
  return {
    policy: { kind: 'AccessPolicy', namespace: 'shop', name: 'chat' },
    rules: [
      {
        name: 'chat',
        action: 'allow',
        from: [],
        to: [{ methods, paths: [{ kind: 'exact', value: path }] }],
      },
    ],
  };
}

describe('a WebSocket through two sidecars', () => {
  it('is one to a client that is not ours: texts, large messages, subprotocol, close code', async () => {
    const { outbound } = await startChat();
    const socket = new WebSocket(`ws://127.0.0.1:${outbound}/chat`, ['soap', 'wamp']);
    socket.binaryType = 'arraybuffer';
    const messages: (string | Buffer)[] = [];
    socket.onmessage = ({ data }) => messages.push(typeof data === 'string' ? data : Buffer.from(data));
    await new Promise((resolve) => {
      socket.onopen = resolve;
    });
    expect(socket.protocol).toBe('soap');
    const large = Buffer.alloc(3_000_000, 'large ');
    socket.send('hello');
    socket.send(large);
    await eventually(() => messages.length === 2);
    expect(messages[0]).toBe('hello');
    expect(large.equals(messages[1] as Buffer)).toBe(true);
    const closed = new Promise<CloseEvent>((resolve) => {
      socket.onclose = resolve;
    });
    socket.close(4001, 'enough');
    expect(await closed).toMatchObject({ code: 4001, reason: 'enough', wasClean: true });
  });

  it('keeps frames as they are: pings, fragments, close codes', async () => {
    const { outbound, app } = await startChat();
    const { peer } = await openWebSocket(outbound, '/chat');
    peer.send(opcode.ping, 'are you there?');
    expect(await peer.next()).toEqual({ final: true, opcode: opcode.pong, payload: Buffer.from('are you there?') });
    peer.send(opcode.text, 'first half, ', false);
    peer.send(0, 'second half', true);
    expect(await peer.next()).toMatchObject({ final: false, opcode: opcode.text });
    expect(await peer.next()).toMatchObject({ final: true, opcode: 0, payload: Buffer.from('second half') });
    peer.close(1001, 'going away');
    expect((await peer.next()).payload.readUInt16BE()).toBe(1001);
    await peer.untilEnd();
    peer.stream.end();
    await eventually(() => app.peers.size === 0);
  });

  it('is encrypted between them', async () => {
    const { outbound, wire } = await startChat();
    const { peer } = await openWebSocket(outbound, '/chat');
    peer.send(opcode.text, 'whispered'.repeat(3));
    await peer.next();
    expect(wire.bytes().includes('sec-websocket')).toBe(false);
    peer.stream.destroy();
  });

  it('is routed as a request is: matched, rewritten, its headers changed both ways', async () => {
    const rule: Partial<HttpRule> = {
      matches: [{ path: { kind: 'prefix', value: '/live' }, method: 'GET', headers: [], query: [] }],
      rewrite: { path: { kind: 'prefix', value: '/chat' } },
      requestHeaders: { set: [{ name: 'x-set', value: 'by route' }], add: [], remove: ['x-gone'] },
      responseHeaders: { set: [{ name: 'x-answer', value: 'changed' }], add: [], remove: ['x-app'] },
    };
    const { outbound, requests } = await startChat({ rules: [forwardTo('shop/reviews', 9080, rule)] });
    const { peer, response } = await openWebSocket(outbound, '/live/room?id=7', { 'x-gone': '1' });
    expect(response.headers).toMatchObject({ 'x-answer': 'changed', upgrade: 'websocket' });
    expect(response.headers['x-app']).toBeUndefined();
    expect(requests[0]).toMatchObject({ method: 'GET', url: '/chat/room?id=7' });
    expect(requests[0].headers).toMatchObject({
      'x-set': 'by route',
      'sec-websocket-version': '13',
      'x-forwarded-client-cert': `URI=${identityOf('web')}`,
    });
    expect(requests[0].headers['x-gone']).toBeUndefined();
    peer.stream.destroy();
    await expect(openWebSocket(outbound, '/elsewhere')).rejects.toThrow('refused with 404');
  });

  it('needs the access that the same GET needs', async () => {
    const { outbound, server } = await startChat({ access: [allow(['GET'], '/chat')] });
    const { peer } = await openWebSocket(outbound, '/chat');
    peer.stream.destroy();
    await expect(openWebSocket(outbound, '/chat/admin')).rejects.toThrow('refused with 403');
    expect(server.metrics.registry.expose()).toMatch(/meshwright_access_denied_total\{.*\} 1/);
  });

  it('is logged when it ends, with its bytes, and counted when it begins', async () => {
    const { outbound, client, server } = await startChat();
    const { peer } = await openWebSocket(outbound, '/chat');
    for (const { metrics } of [client, server]) {
      expect(metrics.registry.expose()).toMatch(/request_duration_seconds_count\{.*response_class="1xx"\} 1/);
      expect(metrics.activeRequests.value).toBe(1);
    }
    peer.send(opcode.text, 'twelve bytes');
    await peer.next();
    peer.stream.end();
    await eventually(() => client.log.entries.length + server.log.entries.length === 2);
    // Client frames carry a mask of four bytes.
    const entry = { method: 'GET', path: '/chat', status: 101, bytes_received: 18, bytes_sent: 14, mtls: true };
    expect(client.log.entries[0]).toMatchObject({ ...entry, service: 'shop/reviews' });
    expect(server.log.entries[0]).toMatchObject({ ...entry, source: identityOf('web') });
    expect(client.metrics.activeRequests.value + server.metrics.activeRequests.value).toBe(0);
  });

  it('survives a thousand changes of configuration', async () => {
    const { outbound, client, server, wire } = await startChat();
    const { peer } = await openWebSocket(outbound, '/chat');
    for (let round = 0; round < 1000; round++) {
      const rules = [forwardTo('shop/reviews', 9080, { name: `rule-${round}` })];
      const endpoints = [{ port: wire.port, identity: identityOf('reviews') }];
      client.proxy.apply([service('reviews', 9080, 'http', rules)], 'service', []);
      // Every other change takes its endpoint away.
      client.proxy.apply([endpointsOf('reviews', 9080, round % 2 ? endpoints : [])], 'endpoints', []);
      const [workload] = server.proxy.resources;
      server.proxy.apply([{ ...workload }], 'workload', []);
      if (round % 100 > 0) continue;
      peer.send(opcode.text, `round ${round}`);
      expect((await peer.next()).payload.toString()).toBe(`round ${round}`);
    }
    peer.close(1000);
    expect((await peer.next()).opcode).toBe(opcode.close);
    peer.stream.destroy();
  });

  it('outlives the limits of its route', async () => {
    const rule: Partial<HttpRule> = { timeouts: { request: 60, backendRequest: 50 } };
    const clock = new ManualClock();
    const { outbound, client } = await startChat({ clock, rules: [forwardTo('shop/reviews', 9080, rule)] });
    const { peer } = await openWebSocket(outbound, '/chat');
    for (let time = 0; time < 150; time += 30) {
      clock.advance(30);
      peer.send(opcode.text, 'still there');
      await peer.next();
    }
    expect(client.log.entries).toEqual([]);
    peer.stream.destroy();
  });

  it('may go on while the proxy drains, until its time is up', async () => {
    const clock = new ManualClock();
    const { outbound, client } = await startChat({ clock, limits: { drainTimeout: 300 } });
    const { peer } = await openWebSocket(outbound, '/chat');
    const drained = client.proxy.drain();
    clock.advance(299);
    peer.send(opcode.text, 'last words');
    expect((await peer.next()).payload.toString()).toBe('last words');
    clock.advance(1);
    await drained;
    await peer.untilEnd();
  });

  it('holds up no drain once it is closed', async () => {
    const { outbound, client, server } = await startChat({ limits: { drainTimeout: 60_000 } });
    const { peer } = await openWebSocket(outbound, '/chat');
    const drained = Promise.all([client.proxy.drain(), server.proxy.drain()]);
    peer.close(1000);
    await peer.untilEnd();
    peer.stream.end();
    await drained;
  });

  it('closes when nothing is said for as long as TCP streams may be silent', async () => {
    const { outbound, client, app } = await startChat({ limits: { tcpIdleTimeout: 100 } });
    const { peer } = await openWebSocket(outbound, '/chat');
    await peer.untilEnd();
    await eventually(() => app.peers.size === 0 && client.log.entries.length > 0);
    expect(client.log.entries[0].error).toMatch(/nothing was sent for 100 ms|broke off/);
  });

  it('slows its writer down when nobody reads', async () => {
    let sent = 0;
    const chunk = Buffer.alloc(65_536);
    const app = await startRawApp((socket) => {
      socket.once('data', () => {
        socket.write(switching('flood'));
        const more = (): void => {
          while (sent < 200_000_000 && socket.write(chunk)) sent += chunk.length;
          socket.once('drain', more);
        };
        more();
      });
    });
    const { outbound } = await startPairTo(app);
    const socket = connect(outbound, '127.0.0.1');
    socket.write(upgradeTo('flood'));
    await readUntil(socket, '\r\n\r\n');
    socket.pause();
    let before = -1;
    let same = 0;
    await eventually(() => {
      same = sent === before ? same + 1 : 0;
      before = sent;
      return same >= 20;
    });
    expect(sent).toBeLessThan(40_000_000);
    socket.destroy();
  });

  it('takes the application down with it when the client vanishes, and the other way round', async () => {
    const { outbound, app, client, server } = await startChat();
    const first = await openWebSocket(outbound, '/chat');
    first.peer.stream.destroy();
    await eventually(() => app.peers.size === 0);
    const second = await openWebSocket(outbound, '/chat');
    for (const { stream } of app.peers) (stream as Socket).resetAndDestroy();
    await second.peer.untilEnd();
    await eventually(() => client.metrics.activeRequests.value + server.metrics.activeRequests.value === 0);
  });
});

describe('an upgrade', () => {
  it('may be to any protocol, whose directions close one by one', async () => {
    let heard = '';
    const app = await startRawApp((socket) => {
      socket.once('data', (head) => {
        expect(head.toString()).toMatch(/\r\nupgrade: Echo\/2\r\n/);
        socket.write(`${switching('echo/2')}welcome;`);
        socket.on('data', (chunk) => {
          heard += chunk;
        });
        socket.on('end', () => socket.end(`${heard} and goodbye`));
      });
    });
    const { outbound } = await startPairTo(app);
    const socket = connect({ port: outbound, host: '127.0.0.1', allowHalfOpen: true });
    socket.write(upgradeTo('h2c, Echo/2, other'));
    const all = readAll(socket);
    await eventually(() => socket.bytesRead > 0);
    socket.end('hello');
    expect(await all).toMatch(
      /^HTTP\/1\.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: Echo\/2\r\n\r\nwelcome;hello and goodbye$/,
    );
  });

  it('lets the client go on when the application has said all it had', async () => {
    const heard = Promise.withResolvers<string>();
    const app = await startRawApp((socket) => {
      let text = '';
      socket.once('data', () => {
        socket.end(`${switching('echo')}goodbye`);
        socket.on('data', (chunk) => {
          text += chunk;
        });
        socket.on('end', () => heard.resolve(text));
      });
    });
    const { outbound, client, server } = await startPairTo(app);
    const socket = connect({ port: outbound, host: '127.0.0.1', allowHalfOpen: true });
    socket.write(upgradeTo('echo'));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    await new Promise((resolve) => socket.once('end', resolve));
    expect(answer).toMatch(/goodbye$/);
    expect(client.metrics.activeRequests.value + server.metrics.activeRequests.value).toBe(2);
    socket.write('one more thing');
    socket.end();
    expect(await heard.promise).toBe('one more thing');
    await eventually(() => client.log.entries.length + server.log.entries.length === 2);
    for (const { log } of [client, server]) expect(log.entries[0]).toMatchObject({ status: 101, error: undefined });
  });

  it('is not mirrored', async () => {
    let connections = 0;
    const mirror = await startRawApp(() => connections++);
    const mirrors = [{ target: { service: 'shop/shadow', port: 80 }, percent: 100 }];
    const { client, outbound } = await startChat({ rules: [forwardTo('shop/reviews', 9080, { mirrors })] });
    client.proxy.apply([service('shadow', 80, 'http')], 'service', []);
    client.proxy.apply([endpointsOf('shadow', 80, [{ port: mirror }])], 'endpoints', []);
    const { peer } = await openWebSocket(outbound, '/chat');
    peer.send(opcode.text, 'once');
    await peer.next();
    peer.stream.end();
    await eventually(() => client.log.entries.length === 1);
    await send(outbound, { path: '/page' });
    await eventually(() => connections > 0);
    expect(connections).toBe(1);
  });

  it('carries what the application says together with 101, and what the client says before it', async () => {
    const app = await startRawApp((socket) => {
      socket.once('data', () => {
        socket.write(`${switching('echo')}at once;`);
        socket.pipe(socket);
      });
    });
    const { outbound } = await startPairTo(app);
    const socket = connect(outbound, '127.0.0.1');
    socket.end(`${upgradeTo('echo')}early`);
    expect(await readAll(socket)).toMatch(/\r\n\r\nat once;early$/);
  });

  it('goes to an application outside the mesh directly', async () => {
    const app = await startWebSocketApp();
    closeLater(() => app.close());
    const outbound = await freePort();
    await startProxy({
      serviceAccount: 'web',
      svid: await svidOf(await createAuthority(), 'web'),
      resources: [service('legacy', 80, 'http'), endpointsOf('legacy', 80, [{ port: app.port }])],
      bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/legacy', port: 80 }] } },
    });
    const { peer } = await openWebSocket(outbound, '/chat');
    peer.send(opcode.text, 'plain');
    expect((await peer.next()).payload.toString()).toBe('plain');
    peer.stream.destroy();
  });

  it('can be asked for through the HTTP proxy as well', async () => {
    const { proxyPort } = await startChat();
    const { peer } = await openWebSocket(proxyPort, 'http://reviews.shop:9080/chat', { host: 'reviews.shop:9080' });
    peer.send(opcode.text, 'by proxy');
    expect((await peer.next()).payload.toString()).toBe('by proxy');
    peer.stream.destroy();
  });

  it.each([
    ['403 Forbidden', 'content-length: 5\r\nx-app: yes\r\n\r\nnever', /^HTTP\/1\.1 403 [\s\S]*x-app: yes[\s\S]*never$/],
    ['200 OK', 'content-length: 4\r\n\r\npage', /^HTTP\/1\.1 200 [\s\S]*page$/],
    ['204 No Content', '\r\n', /^HTTP\/1\.1 204 [\s\S]*\r\n\r\n$/],
    ['302 Found', 'location: /login\r\ncontent-length: 0\r\n\r\n', /^HTTP\/1\.1 302 [\s\S]*location: \/login\r\n/],
    ['426 Upgrade Required', 'content-length: 0\r\n\r\n', /^HTTP\/1\.1 426 /],
    [
      '200 OK',
      'transfer-encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n',
      /^HTTP\/1\.1 200 [\s\S]*3\r\nyes\r\n0\r\n\r\n$/,
    ],
  ])(
    'that the application answers with %s is an ordinary response, and the last one',
    async (status, rest, expected) => {
      const app = await startFixedApp(`HTTP/1.1 ${status}\r\n${rest}`);
      const { outbound, client } = await startPairTo(app.port);
      const socket = connect(outbound, '127.0.0.1');
      socket.write(upgradeTo('websocket', key));
      const answer = await readAll(socket);
      expect(answer).toMatch(expected);
      expect(answer).toContain('connection: close');
      expect(client.log.entries[0]).toMatchObject({ status: Number(status.slice(0, 3)), error: undefined });
    },
  );

  it('that was refused hides no further request', async () => {
    const app = await startFixedApp('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno');
    const { outbound } = await startPairTo(app.port);
    const socket = connect(outbound, '127.0.0.1');
    socket.write(`${upgradeTo('websocket', key)}GET /admin HTTP/1.1\r\nhost: a\r\n\r\n`);
    const answer = await readAll(socket);
    expect(answer.split('HTTP/1.1')).toHaveLength(2);
    expect(app.heard.join('')).not.toContain('/admin');
    // Nor does the application see what comes later on the connection that it refused.
    await send(outbound, { path: '/next' });
    expect(app.heard.join('').split('GET ')).toHaveLength(3);
  });

  it.each([
    ['a body of known length', 'content-length: 5\r\n', 'hello'],
    ['a body in chunks', 'transfer-encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'],
  ])('with %s is refused', async (_title, field, body) => {
    const app = await startFixedApp(switching('websocket'));
    const { outbound } = await startPairTo(app.port);
    const socket = connect(outbound, '127.0.0.1');
    socket.write(`${upgradeTo('websocket', `${key}${field}`)}${body}`);
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 400 [\s\S]*\r\n\r\n$/);
    expect(app.heard).toEqual([]);
  });

  it.each([
    ['h2c', 'GET', 'connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n'],
    ['TLS', 'OPTIONS', 'connection: upgrade\r\nupgrade: TLS/1.0\r\n'],
    ['a WebSocket by POST', 'POST', 'connection: upgrade\r\nupgrade: websocket\r\n'],
    ['nothing that the connection field speaks of', 'GET', 'upgrade: websocket\r\n'],
    ['what the upgrade field does not say', 'GET', 'connection: upgrade\r\n'],
    ['no token', 'GET', 'connection: upgrade\r\nupgrade: web socket\r\n'],
  ])('to %s is not passed on: the request is an ordinary one', async (_title, method, fields) => {
    const app = await startFixedApp('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    const { outbound } = await startPairTo(app.port);
    const socket = connect(outbound, '127.0.0.1');
    const request = `${method} /chat HTTP/1.1\r\nhost: a\r\n${fields}`;
    socket.write(`${request}\r\n`);
    await readUntil(socket, 'ok');
    socket.write(`${request}connection: close\r\n\r\n`);
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 200 [\s\S]*ok$/);
    expect(app.heard.join('')).not.toMatch(/upgrade|http2-settings/i);
    expect(app.heard).toHaveLength(2);
  });

  it('without a proper key is answered 400, as RFC 6455 has it', async () => {
    const app = await startFixedApp(switching('websocket'));
    const { outbound } = await startPairTo(app.port);
    for (const field of ['', 'sec-websocket-key: short\r\n', `${key}${key}`]) {
      const socket = connect(outbound, '127.0.0.1');
      socket.write(upgradeTo('websocket', field));
      expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 400 /);
    }
    expect(app.heard).toEqual([]);
  });

  it.each([
    ['nobody asked for', 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n', switching('websocket')],
    ['is to another protocol', upgradeTo('echo'), switching('other')],
    ['says not to what', upgradeTo('echo'), 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\r\n'],
    ['is not of this connection', upgradeTo('echo'), 'HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\n\r\n'],
    ['proves nothing', upgradeTo('websocket', key), switching('websocket')],
    [
      'proves that it was asked for by somebody else',
      upgradeTo('websocket', key),
      `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${acceptOf('dGhlIHNhbXBsZSBub25jZQ==')}\r\n\r\n`,
    ],
  ])('is 502 when the 101 of the application %s', async (_title, request, answer) => {
    const app = await startFixedApp(answer);
    const { outbound } = await startPairTo(app.port);
    const socket = connect(outbound, '127.0.0.1');
    socket.write(request);
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 502 [\s\S]*http_protocol_error/);
    expect(app.heard).toHaveLength(1);
  });

  it('is not tried again once it was sent', async () => {
    let tries = 0;
    const app = await startRawApp((socket) => {
      socket.once('data', () => {
        tries++;
        socket.end(tries === 1 ? '' : 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n');
      });
    });
    const retry = { attempts: 3, codes: [502, 503], backoff: 0 };
    const { outbound } = await startPairTo(app, { rules: [forwardTo('shop/reviews', 9080, { retry })] });
    await expect(openWebSocket(outbound, '/chat')).rejects.toThrow('refused with 502');
    await expect(openWebSocket(outbound, '/chat')).rejects.toThrow('refused with 503');
    expect(tries).toBe(2);
  });

  it('goes to another endpoint when the first cannot be reached', async () => {
    const { client, outbound, wire } = await startChat();
    const dead = await freePort();
    const endpoints = [{ port: dead }, { port: dead + 1 }, { port: wire.port }].map(({ port }) => ({
      port,
      identity: identityOf('reviews'),
    }));
    client.proxy.apply([endpointsOf('reviews', 9080, endpoints)], 'endpoints', []);
    for (let each = 0; each < 6; each++) (await openWebSocket(outbound, '/chat')).peer.stream.destroy();
  });
});

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
