import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { brokenBodies, chunkedHead, refused, smuggled } from '../net/http1/malformed.ts';
import {
  code,
  flag,
  frame,
  type as frameType,
  openRequest,
  RawPeer,
  requestFields,
  request as requestFrame,
} from '../net/http2/frames.ts';
import { fieldsWith, malformedRequests } from '../net/http2/malformed.ts';
import { closeAll as closeSockets } from '../net/http2/support.ts';
import { eventually } from '../support/eventually.ts';
import { doors, say, startMesh, startRecordingApp } from './attacked-mesh.ts';
import { closeAll, readAll, readUntil, send } from './mesh.ts';

/*
 * What attackers try, through real proxies to a real application: the codecs' own tests say how each is answered, these
 * that nothing of it gets through and that others are served meanwhile. Every case names its class.
 */

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
    const rows = refused.filter(([title]) => title !== 'the preface of HTTP/2');
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

  for (const door of ['inbound', 'outbound', 'gateway'] as const) {
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

  it.each(['inbound', 'outbound', 'gateway'] as const)(
    'paths, at the %s: the application hears what access was decided by',
    async (door) => {
      const peer = await RawPeer.connect(mesh.ports[door]);
      peer.send(requestFrame(1, fieldsWith(':path', '/a/.././x//good')));
      await peer.receive(frameType.headers, 1);
      expect(app.heard.map(({ line }) => line)).toEqual(['GET /x/good']);
    },
  );

  it.each([
    ['an index that is none', Buffer.from([0xff, 0xff, 0x7f])],
    ['an integer without end', Buffer.alloc(200, 0xff)],
    ['a text longer than its block', Buffer.from([0x40, 0x7f, 0xff, 0xff, 0x03])],
    ['a Huffman code that is none', Buffer.from([0x40, 0x84, 0xff, 0xff, 0xff, 0xff])],
    ['a table larger than agreed', Buffer.from([0x3f, 0xe1, 0xff, 0x03])],
    ['nothing but an update of the table', Buffer.from([0x20])],
    ['bytes of chance', Buffer.from('00ff7fbe40048100ffeeddccbbaa99887766554433221100', 'hex')],
  ])('malformed HPACK, by mutual TLS: %s ends its connection alone (CVE-2025-59465)', async (_title, bytes) => {
    const other = await RawPeer.connect(mesh.ports.inbound);
    const peer = await RawPeer.connect(mesh.ports.inbound);
    peer.send(frame(frameType.headers, flag.endHeaders | flag.endStream, 1, bytes));
    if (bytes.length > 1) expect(await peer.goAwayCode()).toBe(code.compression);
    else expect(await peer.resetCode(1)).toBe(code.protocol);
    other.send(requestFrame(1, fieldsWith(':path', '/good')));
    await other.receive(frameType.headers, 1);
    expect(app.heard.map(({ line }) => line)).toEqual(['GET /good']);
    expect(other.find(frameType.goAway)).toBeUndefined();
  });

  it('prototype pollution: a header __proto__ is a header', async () => {
    const peer = await RawPeer.connect(mesh.ports.inbound);
    peer.send(requestFrame(1, [...requestFields, '__proto__', 'polluted']));
    await peer.receive(frameType.headers, 1);
    expect(app.heard[0].headers.join('\n')).toContain('__proto__\npolluted');
  });
});
