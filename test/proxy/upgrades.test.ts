import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { acceptOf, opcode, openWebSocket, startWebSocketApp } from '../support/web-socket.ts';
import {
  closeAll,
  closeLater,
  createAuthority,
  freePort,
  readAll,
  readUntil,
  send,
  startPairTo,
  startProxy,
  startRawApp,
  svidOf,
} from './mesh.ts';
import { endpointsOf, forwardTo, identityOf, service } from './resources.ts';
import { startChat, switching, upgradeTo } from './upgrades.ts';

afterEach(closeAll);

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

const key = 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

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
