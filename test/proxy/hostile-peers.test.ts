import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { brokenResponses } from '../net/http1/malformed.ts';
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
import { closeAll as closeSockets } from '../net/http2/support.ts';
import { eventually } from '../support/eventually.ts';
import { doors, say, startMesh, startRecordingApp } from './attacked-mesh.ts';
import { closeAll, readAll, readUntil, send, startApp, startServer } from './mesh.ts';

/* What peers try in time and in number, and what broken applications answer; see hardening.test.ts. */

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

  for (const door of ['inbound', 'outbound', 'gateway'] as const) {
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
