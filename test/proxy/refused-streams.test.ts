import { type ClientHttp2Session, connect, constants, createServer, type Http2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { ProxyLimits } from '../../runtime/proxy/index.ts';
import { closeAll, closeLater, createAuthority, freePort, startProxy, svidOf } from './mesh.ts';
import { endpointsOf, service } from './resources.ts';

afterEach(closeAll);

/** An application that has read what it is sent, and refuses the first streams as if it had not (RFC 9113 section 8.7). */
async function startRefusing(times: number) {
  const bodies: string[] = [];
  const sessions = new Set<Http2Session>();
  const server = createServer().on('session', (session) => sessions.add(session));
  server.on('stream', (stream) => {
    let body = '';
    stream
      .on('error', () => {})
      .on('data', (chunk) => {
        body += chunk;
      });
    stream.on('end', () => {
      bodies.push(body);
      if (bodies.length <= times) {
        stream.close(constants.NGHTTP2_REFUSED_STREAM);
        return;
      }
      stream.respond({ ':status': 201 });
      stream.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closeLater(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, bodies };
}

async function startCaller(app: number, limits: Partial<ProxyLimits> = {}) {
  const port = await freePort();
  const { log } = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(await createAuthority(), 'web'),
    limits,
    resources: [service('reviews', 9080, 'http2'), endpointsOf('reviews', 9080, [{ port: app }])],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${port}`, service: 'shop/reviews', port: 9080 }] } },
  });
  const session = connect(`http://127.0.0.1:${port}`).on('error', () => {});
  closeLater(() => session.destroy());
  return { session, log };
}

function post(session: ClientHttp2Session, body: string): Promise<number | undefined> {
  const stream = session.request({ ':method': 'POST', ':path': '/' });
  return new Promise((resolve, reject) => {
    stream.on('response', (headers) => resolve(headers[':status']));
    stream.on('error', reject).resume().end(body);
  });
}

describe('a post that the application refused to process', () => {
  it('is sent again, with its body', async () => {
    const app = await startRefusing(2);
    const { session, log } = await startCaller(app.port);
    expect(await post(session, 'pay once')).toBe(201);
    expect(app.bodies).toEqual(['pay once', 'pay once', 'pay once']);
    expect(log.entries).toMatchObject([{ status: 201, retries: 2 }]);
  });

  it('is not sent again for ever', async () => {
    const app = await startRefusing(Number.POSITIVE_INFINITY);
    const { session } = await startCaller(app.port);
    expect(await post(session, 'pay once')).toBe(503);
    expect(app.bodies).toHaveLength(3);
  });

  it.each([
    [10, 'ten bytes.', 2],
    [10, 'more than that', 1],
    [0, 'x', 1],
    [0, '', 2],
  ])('is kept for that up to replayBytes: of %d, %j is sent %d times', async (replayBytes, body, times) => {
    const app = await startRefusing(1);
    const { session } = await startCaller(app.port, { replayBytes });
    expect(await post(session, body)).toBe(times > 1 ? 201 : 503);
    expect(app.bodies).toEqual(Array(times).fill(body));
  });
});
