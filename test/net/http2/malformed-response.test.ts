import { afterEach, describe, expect, test } from '@jest/globals';
import { block, code, flag, frame, preface, RawPeer, type, uint32 } from './frames.ts';
import { closeAll, get, listen, openClient, RecordedResponse, until } from './support.ts';

afterEach(closeAll);

/** A server made by hand, and our client asking it. */
async function ask(method: string, ...answer: Buffer[]) {
  let server: RawPeer | undefined;
  const port = await listen((socket) => {
    server = new RawPeer(socket, preface.length);
    server.send(frame(type.settings, 0, 0));
  });
  const { connection, events } = await openClient(port);
  const response = new RecordedResponse();
  connection.request({ ...get('/'), method }, true, response);
  await until(() => server?.find(type.headers, 1) !== undefined);
  server!.send(...answer);
  await until(() => response.over);
  return { server: server!, connection, response, events };
}

function head(fields: string[], flags = 0, streamId = 1): Buffer {
  return frame(type.headers, flag.endHeaders | flags, streamId, block(...fields));
}

describe('a malformed response resets the stream', () => {
  test.each<[string, ...Buffer[]]>([
    ['a line break in a value (class 4)', head([':status', '200', 'x-a', 'a\r\nset-cookie: x'])],
    ['no status', head(['x-a', '1'])],
    ['a status that is no number', head([':status', '2xx'])],
    ['a status of four digits', head([':status', '2000'])],
    ['two statuses', head([':status', '200', ':status', '200'])],
    ['a pseudo header of requests', head([':status', '200', ':path', '/'])],
    ['101', head([':status', '101'])],
    ['an informational head that ends the stream', head([':status', '103'], flag.endStream)],
    ['transfer-encoding', head([':status', '200', 'transfer-encoding', 'chunked'])],
    ['connection', head([':status', '200', 'connection', 'close'])],
    ['DATA before the head', frame(type.data, 0, 1, 'x')],
    ['a content-length without a body', head([':status', '200', 'content-length', '1'], flag.endStream)],
    ['a length in trailers', head([':status', '200']), head(['content-length', '0'], flag.endStream)],
    ['a second head', head([':status', '200']), head([':status', '200'])],
    ['more body than content-length', head([':status', '200', 'content-length', '1']), frame(type.data, 0, 1, 'xy')],
    ['less body than content-length', head([':status', '200', 'content-length', '3']), frame(type.data, 1, 1, 'xy')],
    ['a body with status 204', head([':status', '204']), frame(type.data, 1, 1, 'x')],
    ['a flood of interim responses', ...Array.from({ length: 33 }, () => head([':status', '103']))],
    ['a head over the limit', head([':status', '200', 'x-a', 'a'.repeat(62_000)])],
  ])('%s', async (_name, ...answer) => {
    const { server, connection, response, events } = await ask('GET', ...answer);
    expect(response).toMatchObject({ resetReason: 'protocol', ended: false });
    expect(await server.resetCode(1)).toBe(code.protocol);
    expect(connection.active).toBe(0);
    expect(events).not.toContain('retire');
  });

  test('a body in response to HEAD', async () => {
    const { response } = await ask(
      'HEAD',
      head([':status', '200', 'content-length', '1']),
      frame(type.data, 1, 1, 'x'),
    );
    expect(response.resetReason).toBe('protocol');
  });
});

describe('the connection goes when the server breaks the rules of framing', () => {
  test.each([
    ['a response to no request', head([':status', '200'], 0, 3)],
    ['a stream that the server opens', head([':status', '200'], 0, 2)],
    ['a push', frame(type.push, flag.endHeaders, 1, uint32(2))],
    ['settings that enable push', frame(type.settings, 0, 0, Buffer.from('000200000001', 'hex'))],
    ['GOAWAY on a stream', frame(type.goAway, 0, 1, Buffer.alloc(8))],
  ])('%s', async (_name, answer) => {
    const { server, response, events } = await ask('GET', answer);
    expect(response.resetReason).toBe('protocol');
    expect(await server.goAwayCode()).toBe(code.protocol);
    expect(events.at(-1)).toBe('retire');
  });
});

test('a complete response stands when the server then resets the stream', async () => {
  let server: RawPeer | undefined;
  const port = await listen((socket) => {
    server = new RawPeer(socket, preface.length);
    server.send(frame(type.settings, 0, 0));
  });
  const { connection } = await openClient(port);
  const response = new RecordedResponse();
  const stream = connection.request({ ...get('/'), method: 'POST' }, false, response);
  await until(() => server?.find(type.headers, 1) !== undefined);
  server!.send(head([':status', '413']), frame(type.data, 1, 1, 'too much'), frame(type.reset, 0, 1, uint32(0)));
  await until(() => connection.active === 0);
  expect(response).toMatchObject({ text: 'too much', ended: true, resetReason: undefined });
  expect(stream.write(Buffer.alloc(1_000_000))).toBe(true);
});
