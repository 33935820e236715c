import { request as httpRequest } from 'node:http';
import { type ClientHttp2Session, connect, createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { closeAll, closeLater, startPairTo, startServer } from './mesh.ts';

afterEach(closeAll);

type Serve = (stream: ServerHttp2Stream, path: string) => void;

/** An application that speaks HTTP/2 with prior knowledge, by Node's own server. */
async function startGrpcApp(serve: Serve, settings = {}): Promise<{ port: number; server: Http2Server }> {
  const server = createServer({ settings });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    serve(stream, String(headers[':path']));
  });
  return { port: await startServer(server), server };
}

function clientOf(port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  closeLater(() => session.destroy());
  return session;
}

interface Answer {
  readonly status: unknown;
  readonly body: string;
  readonly trailers: Record<string, unknown>;
}

function call(session: ClientHttp2Session, path: string, body?: string): Promise<Answer> {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  let status: unknown;
  let text = '';
  let trailers: Record<string, unknown> = {};
  stream.on('response', (headers) => {
    status = headers[':status'];
    if (headers['grpc-status'] !== undefined) trailers = headers;
  });
  stream.on('trailers', (headers) => {
    trailers = headers;
  });
  stream.on('data', (chunk) => {
    text += chunk;
  });
  stream.end(body);
  return new Promise((resolve, reject) => {
    stream.on('end', () => resolve({ status, body: text, trailers }));
    stream.on('error', reject);
  });
}

const answer: Serve = (stream, path) => {
  let got = '';
  stream.on('data', (chunk) => {
    got += chunk;
  });
  stream.on('end', () => {
    if (path === '/failed') {
      stream.respond({ ':status': 200, 'grpc-status': '5' }, { endStream: true });
      return;
    }
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': got }));
    stream.end(`re: ${got}`);
  });
};

describe('gRPC through two sidecars', () => {
  it('carries a unary call with its trailers, and a failure that is trailers only', async () => {
    const { port } = await startGrpcApp(answer);
    const { outbound, client } = await startPairTo(port, { protocol: 'grpc' });
    const session = clientOf(outbound);
    expect(await call(session, '/unary', 'hello')).toMatchObject({
      status: 200,
      body: 're: hello',
      trailers: { 'grpc-status': '0', 'grpc-message': 'hello' },
    });
    expect(await call(session, '/failed')).toMatchObject({ status: 200, trailers: { 'grpc-status': '5' } });
    expect(client.log.entries).toMatchObject([{ status: 200, mtls: true }, { status: 200 }]);
  });

  it('lets both sides talk in turn within one call', async () => {
    const { port } = await startGrpcApp((stream) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.on('data', (chunk) => stream.write(`re: ${chunk};`));
      stream.on('end', () => stream.end());
    });
    const { outbound } = await startPairTo(port, { protocol: 'grpc' });
    const stream = clientOf(outbound).request({ ':method': 'POST', ':path': '/bidi' });
    let heard = '';
    stream.on('data', (chunk) => {
      heard += chunk;
    });
    for (const word of ['one', 'two', 'three']) {
      stream.write(word);
      await eventually(() => heard.endsWith(`re: ${word};`));
    }
    const trailers = new Promise((resolve) => stream.on('trailers', resolve));
    stream.end();
    expect(await trailers).toMatchObject({ 'grpc-status': '0' });
  });

  it('tells the application when the caller gives up', async () => {
    const cancelled = Promise.withResolvers<number>();
    const { port } = await startGrpcApp((stream) => {
      stream.respond({ ':status': 200 });
      stream.write('begun');
      stream.on('close', () => cancelled.resolve(stream.rstCode));
    });
    const { outbound, client, server } = await startPairTo(port, { protocol: 'grpc' });
    const stream = clientOf(outbound).request({ ':method': 'POST', ':path': '/watch' });
    stream.on('error', () => {});
    stream.once('data', () => stream.close(8));
    expect(await cancelled.promise).toBe(8);
    await eventually(() => client.metrics.activeRequests.value + server.metrics.activeRequests.value === 0);
  });

  it('forgets a call that the application ended before its caller did', async () => {
    const open = new Set<ServerHttp2Stream>();
    const { port } = await startGrpcApp((stream) => {
      open.add(stream);
      stream.on('close', () => open.delete(stream));
      stream.respond({ ':status': 200, 'grpc-status': '7' }, { endStream: true });
    });
    const { outbound, client, wire } = await startPairTo(port, { protocol: 'grpc' });
    const stream = clientOf(outbound).request({ ':method': 'POST', ':path': '/upload' });
    stream.on('error', () => {});
    const status = await new Promise((resolve) => stream.on('response', (headers) => resolve(headers['grpc-status'])));
    expect(status).toBe('7');
    await eventually(() => open.size === 0);
    await client.proxy.drain();
    await eventually(() => wire.open === 0);
  });

  it('can be reached through CONNECT of the HTTP proxy', async () => {
    const { port } = await startGrpcApp(answer);
    const { proxyPort } = await startPairTo(port, { protocol: 'grpc' });
    const request = httpRequest({ port: proxyPort, host: '127.0.0.1', method: 'CONNECT', path: 'reviews:9080' });
    const socket = await new Promise<Duplex>((resolve) =>
      request.end().on('connect', (_response, socket, head) => {
        socket.unshift(head);
        resolve(socket);
      }),
    );
    const session = connect('http://reviews:9080', { createConnection: () => socket });
    session.on('error', () => {});
    closeLater(() => session.destroy());
    expect(await call(session, '/unary', 'tunnelled')).toMatchObject({ body: 're: tunnelled' });
  });

  it.each([2, 100])(
    'opens more connections when the application takes %d calls on one',
    async (maxConcurrentStreams) => {
      const held: ServerHttp2Stream[] = [];
      const { port, server } = await startGrpcApp(
        (stream, path) => {
          if (path === '/warm') stream.respond({ ':status': 200 }, { endStream: true });
          else held.push(stream);
        },
        { maxConcurrentStreams },
      );
      let sessions = 0;
      server.on('session', () => sessions++);
      const { outbound } = await startPairTo(port, { protocol: 'grpc' });
      const session = clientOf(outbound);
      // Who takes fewer than HTTP/2 recommends says so with its first frame, and refuses what came before.
      if (maxConcurrentStreams < 100) await call(session, '/warm');
      const calls = Array.from({ length: maxConcurrentStreams * 2.5 }, () => call(session, '/hold'));
      await eventually(() => held.length === calls.length);
      expect(sessions).toBe(3);
      for (const stream of held) stream.respond({ ':status': 200 }, { endStream: true });
      expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(calls.map(() => 200));
    },
  );
});
