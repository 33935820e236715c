import {
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type ServerHttp2Stream,
} from 'node:http2';
import { afterEach, describe, expect, it } from '@jest/globals';
import { closeAll, closeLater, createAuthority, freePort, startProxy, startServer, svidOf } from './mesh.ts';
import { endpointsOf, forwardTo, service } from './resources.ts';

afterEach(closeAll);

/** A sidecar in front of an application by Node's own HTTP/2, which counts what it is asked. */
async function start(answer: (stream: ServerHttp2Stream, count: number) => void) {
  const asked = { count: 0 };
  const app = createServer();
  app.on('stream', (stream) => {
    stream.on('error', () => {});
    answer(stream, ++asked.count);
  });
  const outbound = await freePort();
  const retry = { attempts: 2, codes: [], backoff: 0 };
  const { log } = await startProxy({
    serviceAccount: 'web',
    svid: await svidOf(await createAuthority(), 'web'),
    resources: [
      service('reviews', 80, 'http2', [forwardTo('shop/reviews', 80, { retry })]),
      endpointsOf('reviews', 80, [{ port: await startServer(app) }]),
    ],
    bootstrap: { outbound: { services: [{ listen: `127.0.0.1:${outbound}`, service: 'shop/reviews', port: 80 }] } },
  });
  return { outbound, log, asked };
}

/** The head of the answer, and the code by which the stream ended. */
async function ask(port: number, method = 'GET') {
  const session = connect(`http://127.0.0.1:${port}`).on('error', () => {});
  closeLater(() => session.destroy());
  const stream = session.request({ ':method': method }, { endStream: true });
  let head: (IncomingHttpHeaders & IncomingHttpStatusHeader) | undefined;
  stream.on('response', (headers) => {
    head = headers;
  });
  await new Promise((resolve) =>
    stream
      .on('error', () => {})
      .on('close', resolve)
      .resume(),
  );
  return { head, code: stream.rstCode };
}

const codes = [
  'NGHTTP2_PROTOCOL_ERROR',
  'NGHTTP2_FLOW_CONTROL_ERROR',
  'NGHTTP2_STREAM_CLOSED',
  'NGHTTP2_CONNECT_ERROR',
  'NGHTTP2_ENHANCE_YOUR_CALM',
  'NGHTTP2_INADEQUATE_SECURITY',
  'NGHTTP2_HTTP_1_1_REQUIRED',
] as const;

describe('a stream that the application resets', () => {
  it.each(codes)('with %s is told as that, not as malformed HTTP', async (code) => {
    const { outbound, log, asked } = await start((stream) => stream.close(constants[code]));
    const { head } = await ask(outbound, 'POST');
    expect(head).toMatchObject({
      ':status': 502,
      'proxy-status': expect.stringContaining('error=connection_terminated'),
    });
    expect(log.entries).toEqual([
      expect.objectContaining({
        status: 502,
        response_flags: 'UR',
        error: 'shop/reviews broke off before it answered (reset)',
      }),
    ]);
    // It may have done what it was asked.
    expect(asked.count).toBe(1);
  });

  it.each(codes)('with %s is asked again where that is safe', async (code) => {
    const { outbound, log, asked } = await start((stream, count) =>
      count < 3 ? stream.close(constants[code]) : stream.respond({ ':status': 204 }, { endStream: true }),
    );
    expect((await ask(outbound)).head?.[':status']).toBe(204);
    expect(log.entries).toEqual([expect.objectContaining({ status: 204, retries: 2 })]);
    expect(asked.count).toBe(3);
  });

  it('unprocessed is asked again, whatever it is', async () => {
    const { outbound, asked } = await start((stream, count) =>
      count < 3
        ? stream.close(constants.NGHTTP2_REFUSED_STREAM)
        : stream.respond({ ':status': 204 }, { endStream: true }),
    );
    expect((await ask(outbound, 'POST')).head?.[':status']).toBe(204);
    expect(asked.count).toBe(3);
  });

  it('in the middle of its answer is told as that, and breaks off the answer', async () => {
    const { outbound, log } = await start((stream) => {
      stream.respond({ ':status': 200 });
      // Node ends a stream before it resets it; this much waits for the window.
      stream.write(Buffer.alloc(10_000_000));
      setImmediate(() => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM));
    });
    const { head, code } = await ask(outbound);
    expect(head?.[':status']).toBe(200);
    expect(code).toBe(constants.NGHTTP2_INTERNAL_ERROR);
    expect(log.entries).toEqual([
      expect.objectContaining({ response_flags: 'UR', error: 'the upstream broke off its response (reset)' }),
    ]);
  });
});
