import http2, { type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2';
import { afterEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { closeAll, fieldValue, onCleanup, options, type RecordedRequest, serve, until } from './support.ts';

afterEach(closeAll);

/** Node's own client: an independent peer. */
function nodeClient(port: number): ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  onCleanup(() => session.destroy());
  return session;
}

interface NodeResponse {
  status: number | undefined;
  headers: Record<string, unknown>;
  body: string;
  trailers: Record<string, unknown> | undefined;
  error: Error | undefined;
}

async function complete(stream: ClientHttp2Stream): Promise<NodeResponse> {
  const response: NodeResponse = { status: undefined, headers: {}, body: '', trailers: undefined, error: undefined };
  stream.setEncoding('latin1');
  stream.on('response', (headers) => {
    response.status = headers[':status'];
    response.headers = headers;
  });
  stream.on('trailers', (trailers) => {
    response.trailers = trailers;
  });
  stream.on('data', (text: string) => {
    response.body += text;
  });
  stream.on('error', (error) => {
    response.error = error;
  });
  await new Promise<void>((resolve) => stream.once('close', resolve));
  return response;
}

function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string): Promise<NodeResponse> {
  const stream = session.request(headers, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return complete(stream);
}

/** Answers with the body it got. */
function echo(request: RecordedRequest): void {
  const { stream } = request;
  stream.respond({ status: 200, headers: [] }, false);
  request.onData = (chunk) => {
    if (!stream.write(chunk)) stream.pause();
  };
  request.onDrain = () => stream.resume();
  request.onEnd = (trailers) => stream.end(trailers);
  if (request.ended) stream.end();
}

describe('the server, asked by the HTTP/2 client of Node', () => {
  test('gets the request as it was sent and answers it', async () => {
    const server = await serve((request) => request.answer(201, 'made', ['x-b', '2', 'x-a', '1']));
    const response = await ask(nodeClient(server.port), {
      ':method': 'GET',
      ':path': '/reviews?id=7',
      ':authority': 'Reviews.Shop:9080',
      accept: '*/*',
      te: 'trailers',
    });
    const { head, ended } = server.requests[0];
    expect(head).toMatchObject({
      method: 'GET',
      scheme: 'http',
      authority: 'reviews.shop:9080',
      path: '/reviews?id=7',
    });
    expect(head.headers).toEqual(['accept', '*/*', 'te', 'trailers']);
    expect(ended).toBe(true);
    expect(response).toMatchObject({ status: 201, body: 'made', headers: { 'x-a': '1', 'x-b': '2' } });
  });

  test('takes the host header where :authority is missing, and joins cookies', async () => {
    const server = await serve((request) => request.answer(204));
    await ask(nodeClient(server.port), { host: 'ratings.shop', cookie: ['a=1', 'b=2'] });
    expect(server.requests[0].head.authority).toBe('ratings.shop');
    expect(server.requests[0].head.headers).toEqual(['cookie', 'a=1; b=2']);
  });

  test('passes trailers in both directions', async () => {
    const server = await serve((request) => {
      request.onEnd = (trailers) =>
        request.answer(200, 'ok', [], ['grpc-status', fieldValue(trailers ?? [], 'x-sum')!]);
    });
    const stream = nodeClient(server.port).request({ ':method': 'POST' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }));
    stream.end('body');
    expect(await complete(stream)).toMatchObject({ status: 200, body: 'ok', trailers: { 'grpc-status': '42' } });
  });

  test('sends informational heads and responses without body', async () => {
    const server = await serve(({ stream }) => {
      stream.informational({ status: 103, headers: ['link', '</a.css>'] });
      stream.respond({ status: 204, headers: ['x-a', '1'] }, true);
    });
    const stream = nodeClient(server.port).request({});
    const early: unknown[] = [];
    stream.on('headers', (headers) => early.push(headers[':status'], headers.link));
    expect(await complete(stream)).toMatchObject({ status: 204, body: '', headers: { 'x-a': '1' } });
    expect(early).toEqual([103, '</a.css>']);
  });

  test('moves large bodies both ways at once, no faster than they are read', async () => {
    const server = await serve(echo);
    const body = Buffer.alloc(8_000_000, 'all the bytes of a body ').toString('latin1');
    const answers = await Promise.all([1, 2, 3].map(() => ask(nodeClient(server.port), { ':method': 'POST' }, body)));
    for (const answer of answers) expect(answer.body === body).toBe(true);
  });

  test('stops at the window of a client that does not read, without holding the other streams up', async () => {
    const server = await serve();
    const session = nodeClient(server.port);
    const slow = session.request({ ':path': '/slow' });
    slow.pause();
    await until(() => server.requests.length === 1);
    const { stream } = server.requests[0];
    stream.respond({ status: 200, headers: [] }, false);
    let taken = 0;
    while (stream.write(Buffer.alloc(10_000))) taken += 10_000;
    expect(taken).toBeLessThan(100_000);
    const fast = ask(session, { ':path': '/fast' });
    await until(() => server.requests.length === 2);
    server.requests[1].answer(200, 'fast');
    expect(await fast).toMatchObject({ body: 'fast' });
    expect(server.requests[0].drains).toBe(0);
    slow.resume();
    await until(() => server.requests[0].drains > 0);
  });

  test('serves many streams at once', async () => {
    const server = await serve(echo);
    const session = nodeClient(server.port);
    const bodies = Array.from({ length: 300 }, (_, i) => `body ${i} `.repeat(i * 10));
    const answers = await Promise.all(bodies.map((body) => ask(session, { ':method': 'POST' }, body)));
    expect(answers.map(({ body }) => body)).toEqual(bodies);
    expect(server.connections).toHaveLength(1);
    expect(server.connections[0].active).toBe(0);
  });

  test.each([
    [http2.constants.NGHTTP2_CANCEL, 'cancelled'],
    [http2.constants.NGHTTP2_REFUSED_STREAM, 'refused'],
    [http2.constants.NGHTTP2_PROTOCOL_ERROR, 'reset'],
    [http2.constants.NGHTTP2_ENHANCE_YOUR_CALM, 'reset'],
    [http2.constants.NGHTTP2_INTERNAL_ERROR, 'internal'],
  ])('hears of a stream that the client resets with code %i as %s', async (code, reason) => {
    const server = await serve();
    const stream = nodeClient(server.port).request({ ':method': 'POST' }, { endStream: false });
    stream.on('error', () => {});
    await until(() => server.requests.length === 1);
    stream.close(code);
    await until(() => server.requests[0].over);
    expect(server.requests[0].resetReason).toBe(reason);
    expect(server.connections[0].active).toBe(0);
  });

  test.each([
    ['cancelled', 'NGHTTP2_CANCEL'],
    ['refused', 'NGHTTP2_REFUSED_STREAM'],
    ['internal', 'NGHTTP2_INTERNAL_ERROR'],
    ['connection', 'NGHTTP2_INTERNAL_ERROR'],
  ] as const)('tells the client of a stream that was given up as %s', async (reason, name) => {
    const server = await serve(({ stream }) => stream.reset(reason));
    const stream = nodeClient(server.port).request({});
    await complete(stream);
    expect(stream.rstCode).toBe(http2.constants[name]);
  });

  test('lets a complete response stand when the rest of its request is given up', async () => {
    const server = await serve((request) => {
      request.answer(413, 'too much');
      request.stream.reset('cancelled');
    });
    const stream = nodeClient(server.port).request({ ':method': 'POST' }, { endStream: false });
    expect(await complete(stream)).toMatchObject({ status: 413, body: 'too much', error: undefined });
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_NO_ERROR);
  });

  test('drains: what is under way is finished, what came too late is safe to repeat, then the connection closes', async () => {
    const server = await serve();
    const session = nodeClient(server.port);
    const first = ask(session, { ':path': '/first' });
    await until(() => server.requests.length === 1);
    server.connections[0].drain();
    await new Promise<void>((resolve) => session.once('goaway', () => resolve()));
    server.requests[0].answer(200, 'finished');
    expect(await first).toMatchObject({ status: 200, body: 'finished' });
    await new Promise<void>((resolve) => session.once('close', resolve));
  });

  test('takes every value that Node compresses with Huffman codes', async () => {
    const server = await serve((request) => request.answer(204));
    const session = nodeClient(server.port);
    await fc.assert(
      fc.asyncProperty(fc.stringMatching(/^[!-~\xa1-\xff]([ -~\xa0-\xff]{0,100}[!-~\xa1-\xff])?$/), async (value) => {
        await ask(session, { 'x-value': value });
        expect(fieldValue(server.requests.at(-1)!.head.headers, 'x-value')).toBe(value);
      }),
    );
  });

  test('keeps both header tables in step with those of Node while they overflow', async () => {
    const server = await serve((request) => request.answer(200, '', request.head.headers));
    const session = nodeClient(server.port);
    for (let i = 0; i < 600; i++) {
      const sent = { 'user-agent': 'curl/8', [`x-${i % 70}`]: 'v'.repeat((i * 37) % 190), [`x-${i % 7}`]: `${i % 3}` };
      const { headers } = await ask(session, sent);
      expect(headers).toMatchObject(sent);
    }
  });

  test('answers 431 to a head over the limit, and serves on', async () => {
    const server = await serve((request) => request.answer(200), options({ maxHeadBytes: 2000, maxHeaders: 10 }));
    const session = nodeClient(server.port);
    expect((await ask(session, { 'x-large': 'a'.repeat(3000) })).status).toBe(431);
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`x-${i}`, '1']));
    expect((await ask(session, many)).status).toBe(431);
    expect((await ask(session, {})).status).toBe(200);
    expect(server.requests).toHaveLength(1);
  });
});
