import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { smuggled } from '../net/http1/malformed.ts';
import { frame, type as frameType, preface, request as requestFrame } from '../net/http2/frames.ts';
import { fieldsWith } from '../net/http2/malformed.ts';
import { eventually } from '../support/eventually.ts';
import { doors, say, startMesh, startRecordingApp } from './attacked-mesh.ts';
import { closeAll, readAll } from './mesh.ts';

describe('prefaces of HTTP/2 that are none, or come elsewhere', () => {
  let app: Awaited<ReturnType<typeof startRecordingApp>>;
  let mesh: Awaited<ReturnType<typeof startMesh>>;
  const beginning = preface.toString('latin1');
  const inHttp2 = `${beginning}${Buffer.concat([frame(frameType.settings, 0, 0), requestFrame(1, fieldsWith(':path', '/smuggled'))]).toString('latin1')}`;

  beforeAll(async () => {
    app = await startRecordingApp();
    mesh = await startMesh(app.port, { headTimeout: 150, streamIdleTimeout: 2000 });
  });
  afterAll(closeAll);
  afterEach(() => {
    app.heard.length = 0;
  });

  for (const door of doors) {
    it(`behind a request, at the ${door}: refused`, async () => {
      const answer = await say(mesh.ports[door], `GET / HTTP/1.1\r\nhost: a\r\n\r\n${inHttp2}`);
      expect(answer).toMatch(/^HTTP\/1\.1 200 .*HTTP\/1\.1 505 /s);
      expect(app.heard.map(({ line }) => line)).toEqual(['GET /']);
    });

    it(`as a body, at the ${door}: a body stays a body`, async () => {
      const head = `POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: ${inHttp2.length}\r\n\r\n`;
      const answer = await say(mesh.ports[door], `${head}${inHttp2}`);
      expect(answer).toMatch(/^HTTP\/1\.1 200 /);
      expect(app.heard.map((request) => [request.line, request.complete()])).toEqual([['POST /', true]]);
    });

    it.each([
      ['with fields', `PRI * HTTP/2.0\r\nhost: a\r\ncontent-length: 4\r\n\r\n${inHttp2}`],
      ['with a body', `PRI * HTTP/2.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
      ['in HTTP/1.1', `PRI * HTTP/1.1\r\nhost: a\r\n\r\nSM\r\n\r\n${smuggled}`],
      ['in small letters', inHttp2.replace('PRI', 'pri')],
      ['with bare line feeds', inHttp2.replaceAll('\r\n', '\n')],
      ['that goes on as HTTP/1.1', `PRI * HTTP/2.0\r\n\r\n${smuggled}`],
      ['with a request of HTTP/1.1 behind it', `${beginning}${smuggled}`],
      ['behind a piece of itself', `PRI * ${inHttp2}`],
    ])(`%s, at the ${door}: never reaches the application`, async (_title, bytes) => {
      const answer = await say(mesh.ports[door], bytes);
      expect(answer).not.toMatch(/HTTP\/1\.1 [123]/);
      expect(app.heard).toEqual([]);
    });

    it.each([1, 4, 17, 18, 23, 24])(`its first %d bytes and no more, at the ${door}: not waited for`, async (count) => {
      const socket = connect({ port: mesh.ports[door], host: '127.0.0.1' });
      const answer = readAll(socket);
      socket.write(beginning.slice(0, count));
      // Who has not begun to speak HTTP/2 is told in HTTP/1.1.
      if (count < 18) expect(await answer).toMatch(/^HTTP\/1\.1 408 /);
      else expect(await answer).not.toMatch(/HTTP\/1\.1/);
      expect(app.heard).toEqual([]);
    });

    it(`in pieces, at the ${door}: put together`, async () => {
      // One that waits as long as it takes.
      const { ports } = await startMesh(app.port);
      const socket = connect({ port: ports[door], host: '127.0.0.1', noDelay: true });
      socket.on('error', () => {});
      for (const byte of inHttp2) {
        socket.write(byte, 'latin1');
        await new Promise((resolve) => setImmediate(resolve));
      }
      await eventually(() => app.heard.length > 0);
      expect(app.heard.map(({ line }) => line)).toEqual(['GET /smuggled']);
      socket.destroy();
    });
  }
});
