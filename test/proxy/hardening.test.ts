import { createServer as createHttpServer } from 'node:http';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { defaultHttpLimits, type HttpLimits } from '../../runtime/net/index.ts';
import { brokenBodies, brokenResponses, chunkedHead, refused, smuggled } from '../net/http1/malformed.ts';
import {
  block,
  code,
  flag,
  frame,
  type as frameType,
  openRequest,
  RawPeer,
  requestFields,
  request as requestFrame,
  uint32,
} from '../net/http2/frames.ts';
import { fieldsWith, malformedRequests } from '../net/http2/malformed.ts';
import { closeAll as closeSockets } from '../net/http2/support.ts';
import { startCertificateLender } from '../support/certificate-lender.ts';
import { eventually } from '../support/eventually.ts';
import {
  closeAll,
  closeLater,
  createAuthority,
  endpointsOf,
  forwardTo,
  freePort,
  identityOf,
  readAll,
  readUntil,
  send,
  service,
  startApp,
  startProxy,
  startServer,
  svidOf,
} from './mesh.ts';

/*
 * What attackers try, through real proxies to a real application: the codecs' own tests say how each is answered, these
 * that nothing of it gets through and that others are served meanwhile. Every case names its class.
 */

/** What the application was asked, and whether it got the whole of it. */
interface Heard {
  readonly line: string;
  readonly headers: string[];
  /** Known once it is complete. */
  trailers(): string[];
  complete(): boolean;
}

async function startRecordingApp() {
  const heard: Heard[] = [];
  const server = createHttpServer((request, response) => {
    heard.push({
      line: `${request.method} ${request.url}`,
      headers: request.rawHeaders,
      trailers: () => request.rawTrailers,
      complete: () => request.complete,
    });
    request.on('error', () => {});
    response.on('error', () => {});
    request.resume();
    request.on('end', () => response.end('answered'));
  });
  return { port: await startServer(server), heard };
}

/** An application, its sidecar, the sidecar of one that calls it, a gateway, and a stolen certificate. */
async function startMesh(appPort: number, http: Partial<HttpLimits> = {}) {
  const authority = await createAuthority();
  const [inbound, outbound, listen] = [await freePort(), await freePort(), await freePort()];
  const limits = { http: { ...defaultHttpLimits, ...http } };
  const server = await startProxy({
    serviceAccount: 'reviews',
    svid: await svidOf(authority, 'reviews'),
    ports: [{ port: 9080, protocol: 'http' }],
    limits,
    bootstrap: { inbound: [{ listen: `127.0.0.1:${inbound}`, port: 9080, app: `127.0.0.1:${appPort}` }] },
  });
  const reviews = [
    service('reviews', 9080, 'http'),
    endpointsOf('reviews', 9080, [{ port: inbound, identity: identityOf('reviews') }]),
  ];
  const client = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(authority, 'web'),
    limits,
    resources: reviews,
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 9080 }] } },
  });
  const rules = [forwardTo('shop/reviews', 9080)];
  const virtualHosts = [{ hostnames: ['*'], rules }];
  await startProxy({
    serviceAccount: 'gateway',
    svid: await svidOf(authority, 'gateway'),
    gateway: 'shop/shop',
    limits,
    resources: [
      ...reviews,
      { kind: 'gateway', name: 'shop/shop', listeners: [{ name: 'http', port: 80, protocol: 'http', virtualHosts }] },
    ],
    bootstrap: { gateway: [{ listen: `127.0.0.1:${listen}`, port: 80 }] },
  });
  const lender = await startCertificateLender(inbound, await svidOf(authority, 'web'));
  closeLater(() => lender.close());
  return { ports: { outbound, gateway: listen, inbound: lender.port }, server, client };
}

/** Says something on a connection of its own; resolves with all that is answered until the other side closes. */
async function say(port: number, bytes: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const answer = readAll(socket);
  socket.on('end', () => socket.end());
  socket.write(bytes, 'latin1');
  return answer;
}

type Door = 'outbound' | 'gateway';
const doors: readonly Door[] = ['outbound', 'gateway'];

describe('requests of HTTP/1.1', () => {
  let app: Awaited<ReturnType<typeof startRecordingApp>>;
  let mesh: Awaited<ReturnType<typeof startMesh>>;

  beforeAll(async () => {
    app = await startRecordingApp();
    mesh = await startMesh(app.port, { streamIdleTimeout: 2000 });
  });
  afterAll(closeAll);
  afterEach(async () => {
    app.heard.length = 0;
    for (const door of doors) expect((await send(mesh.ports[door])).status).toBe(200);
    app.heard.length = 0;
  });

  for (const door of doors) {
    const rows = refused.filter(([title]) => door === 'outbound' || title !== 'the preface of HTTP/2');
    it.each(rows)(
      `request smuggling, at the ${door}: %s never reaches the application`,
      async (_title, status, bytes) => {
        const answer = await say(mesh.ports[door], bytes);
        // Bytes that are no HTTP/1.1 at all may be answered by nothing.
        if (answer !== '') expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
        expect(answer.split('HTTP/1.1 ').length).toBeLessThanOrEqual(2);
        expect(app.heard).toEqual([]);
      },
    );

    it.each(brokenBodies)(
      `chunked bodies, at the ${door}: %s is never taken for a whole request`,
      async (_title, body) => {
        await say(mesh.ports[door], `${chunkedHead}${body}${smuggled}`);
        await eventually(
          () => mesh.client.metrics.activeRequests.value + mesh.server.metrics.activeRequests.value === 0,
        );
        expect(app.heard.map(({ line }) => line).filter((line) => line !== 'POST /')).toEqual([]);
        expect(app.heard.some((request) => request.complete())).toBe(false);
      },
    );
  }

  it.each([
    [
      'desync by method: GET with a body',
      `GET / HTTP/1.1\r\nhost: a\r\ncontent-length: ${smuggled.length}\r\n\r\n${smuggled}`,
    ],
    [
      'desync by method: HEAD with a body',
      `HEAD / HTTP/1.1\r\nhost: a\r\ncontent-length: ${smuggled.length}\r\n\r\n${smuggled}`,
    ],
    [
      'desync by method: DELETE in chunks',
      `DELETE / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
    ],
    [
      'desync by expectation',
      `POST / HTTP/1.1\r\nhost: a\r\nexpect: y 100-continue\r\ncontent-length: ${smuggled.length}\r\n\r\n${smuggled}`,
    ],
    [
      'desync by hop-by-hop fields',
      `POST / HTTP/1.1\r\nhost: a\r\nconnection: content-length\r\ncontent-length: ${smuggled.length}\r\n\r\n${smuggled}`,
    ],
    [
      'desync by underscores',
      `POST / HTTP/1.1\r\nhost: a\r\ntransfer_encoding: chunked\r\ncontent_length: 0\r\ncontent-length: ${smuggled.length}\r\n\r\n${smuggled}`,
    ],
    [
      'desync by extension',
      `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${smuggled.length.toString(16)};a="b;c"\r\n${smuggled}\r\n0;x=y\r\n\r\n`,
    ],
  ])('%s: a body stays a body', async (_title, bytes) => {
    for (const door of doors) {
      app.heard.length = 0;
      const socket = connect(mesh.ports[door], '127.0.0.1');
      socket.write(bytes, 'latin1');
      await readUntil(socket, '\r\n\r\n');
      socket.end();
      await readAll(socket);
      expect(app.heard).toHaveLength(1);
      expect(app.heard[0].line).toMatch(/ \/$/);
      expect(app.heard[0].complete()).toBe(true);
      const names = app.heard[0].headers.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
      expect(names.filter((name) => name === 'content-length' || name === 'transfer-encoding')).toHaveLength(1);
      expect(names.filter((name) => name.includes('_'))).toEqual([]);
    }
  });

  it.each(doors)('spoofed callers, at the %s: trailers say nothing of them', async (door) => {
    const trailers = ['X-Forwarded-Client-Cert: URI=spiffe://evil', 'x_forwarded_for: 1.2.3.4', 'x-checksum: 7'];
    const head = 'POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n';
    const answer = await say(mesh.ports[door], `${head}2\r\nhi\r\n0\r\n${trailers.join('\r\n')}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(app.heard[0].trailers()).toEqual(['x-checksum', '7']);
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasownproperty'])(
    'prototype pollution: a header %s is a header',
    async (name) => {
      // Names with underscores do not pass a gateway.
      const door = name.includes('_') ? 'outbound' : 'gateway';
      await send(mesh.ports[door], { headers: { [name]: 'polluted', 'x-other': '1' } });
      const { headers } = app.heard[0];
      expect(headers[headers.findIndex((each) => each.toLowerCase() === name.toLowerCase()) + 1]).toBe('polluted');
      expect(({} as Record<string, unknown>).polluted).toBeUndefined();
      const entry = mesh.server.log.entries.at(-1);
      expect(Object.values(entry ?? {})).not.toContain('polluted');
    },
  );
});

describe('requests of HTTP/2 that become HTTP/1.1', () => {
  let app: Awaited<ReturnType<typeof startRecordingApp>>;
  let mesh: Awaited<ReturnType<typeof startMesh>>;

  beforeAll(async () => {
    app = await startRecordingApp();
    mesh = await startMesh(app.port);
  });
  afterAll(closeAll);
  afterEach(() => {
    closeSockets();
    app.heard.length = 0;
  });

  for (const door of ['inbound', 'gateway'] as const) {
    it.each(malformedRequests)(
      `request splitting, at the ${door}: %s never reaches the application`,
      async (_title, fields) => {
        const peer = await RawPeer.connect(mesh.ports[door]);
        peer.send(requestFrame(1, fields), requestFrame(3, fieldsWith(':path', '/good')));
        expect(await peer.resetCode(1)).toBe(code.protocol);
        await peer.receive(frameType.headers, 3);
        expect(app.heard.map(({ line }) => line)).toEqual(['GET /good']);
      },
    );

    it.each([
      ['too long', '3', 'four'],
      ['too short', '99', smuggled],
    ])(
      `desync by content-length, at the ${door}: a body %s is never taken for a whole request`,
      async (_title, length, body) => {
        const peer = await RawPeer.connect(mesh.ports[door]);
        peer.send(openRequest(1, [...fieldsWith(':method', 'POST'), 'content-length', length]), frame(0, 1, 1, body));
        expect(await peer.resetCode(1)).toBe(code.protocol);
        peer.send(requestFrame(3, fieldsWith(':path', '/good')));
        await peer.receive(frameType.headers, 3);
        expect(app.heard.filter((request) => request.complete()).map(({ line }) => line)).toEqual(['GET /good']);
      },
    );
  }

  it.each(['inbound', 'gateway'] as const)(
    'paths, at the %s: the application hears what access was decided by',
    async (door) => {
      const peer = await RawPeer.connect(mesh.ports[door]);
      peer.send(requestFrame(1, fieldsWith(':path', '/a/.././x//good')));
      await peer.receive(frameType.headers, 1);
      expect(app.heard.map(({ line }) => line)).toEqual(['GET /x/good']);
    },
  );

  it('prototype pollution: a header __proto__ is a header', async () => {
    const peer = await RawPeer.connect(mesh.ports.inbound);
    peer.send(requestFrame(1, [...requestFields, '__proto__', 'polluted']));
    await peer.receive(frameType.headers, 1);
    expect(app.heard[0].headers.join('\n')).toContain('__proto__\npolluted');
  });
});

describe('floods of HTTP/2', () => {
  afterEach(async () => {
    closeSockets();
    await closeAll();
  });

  const many = (count: number, make: (index: number) => Buffer): Buffer =>
    Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
  const bomb = Buffer.concat([
    block(...requestFields),
    Buffer.from([0x40, 1]),
    Buffer.from('x'),
    Buffer.from([0x7f, 0xa1, 0x1e]),
    Buffer.alloc(4000, 'a'),
    Buffer.alloc(12_000, 0xbe),
  ]);

  const floods: readonly (readonly [title: string, bytes: () => Buffer])[] = [
    [
      'rapid reset (CVE-2023-44487)',
      () =>
        many(10_000, (i) => Buffer.concat([requestFrame(2 * i + 1), frame(frameType.reset, 0, 2 * i + 1, uint32(8))])),
    ],
    [
      'resets that the server is made to send (CVE-2025-8671)',
      () =>
        many(10_000, (i) => Buffer.concat([requestFrame(2 * i + 1), frame(frameType.window, 0, 2 * i + 1, uint32(0))])),
    ],
    [
      'CONTINUATION (CVE-2024-27316)',
      () =>
        Buffer.concat([
          frame(frameType.headers, 0, 1),
          many(1000, () => frame(frameType.continuation, 0, 1, block('x', 'y'))),
        ]),
    ],
    ['SETTINGS (CVE-2019-9515)', () => many(10_000, () => frame(frameType.settings, 0, 0))],
    ['PING (CVE-2019-9512)', () => many(10_000, () => frame(frameType.ping, 0, 0, '12345678'))],
    ['WINDOW_UPDATE', () => many(10_000, () => frame(frameType.window, 0, 0, uint32(1)))],
    ['PRIORITY (CVE-2019-9513)', () => many(10_000, () => frame(frameType.priority, 0, 1, '12345'))],
    [
      'empty DATA (CVE-2019-9518)',
      () => Buffer.concat([openRequest(1), many(10_000, () => frame(frameType.data, 0, 1))]),
    ],
    [
      'HPACK bombs (CVE-2016-6581)',
      // So many that a slow machine, too, meets more in a second than may be earned in it.
      () => many(5000, (i) => frame(frameType.headers, flag.endHeaders | flag.endStream, 2 * i + 1, bomb)),
    ],
  ];

  for (const door of ['inbound', 'gateway'] as const) {
    it.each(floods)(`%s ends the connection at the ${door}, and nobody else's`, async (_title, bytes) => {
      const app = await startRecordingApp();
      const mesh = await startMesh(app.port);
      const other = await RawPeer.connect(mesh.ports[door]);
      other.send(requestFrame(1));
      await other.receive(frameType.headers, 1);
      const peer = await RawPeer.connect(mesh.ports[door]);
      const heapBefore = process.memoryUsage().heapUsed;
      peer.send(bytes());
      expect(await peer.goAwayCode()).toBe(code.calm);
      other.send(requestFrame(3));
      await other.receive(frameType.headers, 3);
      expect(other.find(frameType.goAway)).toBeUndefined();
      expect(app.heard.length).toBeLessThan(2500);
      expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(200_000_000);
      await eventually(() => mesh.server.metrics.activeRequests.value === 0);
    });
  }
});

describe('slow peers', () => {
  afterEach(closeAll);

  it.each(doors)('slow head, at the %s: answered 408 although it drips on', async (door) => {
    const app = await startRecordingApp();
    const mesh = await startMesh(app.port, { headTimeout: 150 });
    const socket = connect(mesh.ports[door], '127.0.0.1');
    const answer = readAll(socket);
    const dripping = setInterval(() => socket.write('x: y\r\n'), 20);
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n');
    expect(await answer).toMatch(/^HTTP\/1\.1 408 /);
    clearInterval(dripping);
    expect(app.heard).toEqual([]);
  });

  it.each(doors)('slow body, at the %s: answered 408 when it stops', async (door) => {
    const app = await startRecordingApp();
    const mesh = await startMesh(app.port, { streamIdleTimeout: 150 });
    const answer = await say(mesh.ports[door], 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello');
    expect(answer).toMatch(/^HTTP\/1\.1 (?:408|50[24]) /);
    await eventually(() => mesh.server.metrics.activeRequests.value === 0);
    expect(app.heard.some((request) => request.complete())).toBe(false);
  });

  it.each(doors)('slow read, at the %s: broken off when nobody reads', async (door) => {
    const port = await startApp((_request, response) => {
      response.on('error', () => {});
      response.end(Buffer.alloc(64_000_000));
    });
    const mesh = await startMesh(port, { streamIdleTimeout: 300 });
    const socket: Socket = connect(mesh.ports[door], '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await readUntil(socket, '\r\n\r\n');
    socket.pause();
    await eventually(() => mesh.server.metrics.activeRequests.value + mesh.client.metrics.activeRequests.value === 0);
    socket.destroy();
  });
});

/** Answers each connection's first request with the same bytes, and says nothing more. */
const startBrokenApp = (answer: string): Promise<number> =>
  startServer(createTcpServer((socket) => void socket.once('data', () => socket.write(answer, 'latin1'))));

describe('answers of an application', () => {
  afterEach(closeAll);

  it.each(brokenResponses)('response splitting: %s is never taken for a whole answer', async (_title, bytes) => {
    const mesh = await startMesh(await startBrokenApp(bytes));
    const answer = await say(mesh.ports.outbound, 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    if (answer.startsWith('HTTP/1.1 502 ')) expect(answer).toContain('http_protocol_error');
    else {
      // Its head was good: what of its body came through must not end as if it were all.
      expect(answer).toMatch(/^HTTP\/1\.1 (?:200|103) /);
      expect(answer).not.toMatch(/\r\n0\r\n\r\n$/);
    }
    expect(answer.split('HTTP/1.1 ').filter((part) => !part.startsWith('103')).length).toBeLessThanOrEqual(2);
  });

  it('response queue poisoning: an answer nobody asked for reaches nobody', async () => {
    const poison = 'HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\npoisoned';
    const mesh = await startMesh(await startBrokenApp(`HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmine${poison}`));
    for (let each = 0; each < 5; each++) expect((await send(mesh.ports.gateway)).body.toString()).toBe('mine');
  });
});
