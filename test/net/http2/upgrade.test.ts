import { afterEach, describe, expect, test } from '@jest/globals';
import type { RequestHead } from '../../../runtime/net/http.ts';
import { createHttp2Client } from '../../../runtime/net/http2/index.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { block, code, flag, frame, preface, RawPeer, splitFrames, type } from './frames.ts';
import { closeAll, get, MemoryConnection, openClient, options, RecordedResponse, serve, until } from './support.ts';

afterEach(closeAll);

const chat: RequestHead = { ...get('/chat', ['sec-websocket-version', '13']), upgrade: 'websocket' };
const extendedConnect = [
  ...[':method', 'CONNECT', ':protocol', 'websocket', ':scheme', 'https'],
  ...[':path', '/chat', ':authority', 'reviews.shop', 'sec-websocket-version', '13'],
];
const takesUpgrades = Buffer.from('000800000001', 'hex');
const takesNone = Buffer.from('000800000000', 'hex');

function head(fields: string[], flags = 0): Buffer {
  return frame(type.headers, flag.endHeaders | flags, 1, block(...fields));
}

describe('the server', () => {
  test('says that it takes upgrades, and sees one as what HTTP/1.1 asks for', async () => {
    const server = await serve(({ stream }) => stream.respond({ status: 101, headers: ['x-a', '1'] }, false));
    const peer = await RawPeer.connect(server.port);
    const settings = await peer.receive(type.settings);
    expect(settings.payload.toString('hex')).toContain('000800000001');
    peer.send(head(extendedConnect));
    const answer = await peer.receive(type.headers, 1);
    // `:status 200`, indexed.
    expect(answer.payload[0]).toBe(0x88);
    expect(answer.flags & flag.endStream).toBe(0);
    expect(server.requests[0]).toMatchObject({
      ended: false,
      head: {
        method: 'GET',
        scheme: 'https',
        authority: 'reviews.shop',
        path: '/chat',
        upgrade: 'websocket',
        headers: ['sec-websocket-version', '13'],
      },
    });
  });

  test.each([
    ['without a path', extendedConnect.filter((_, i) => i < 6 || i > 7)],
    ['without a scheme', extendedConnect.filter((_, i) => i < 4 || i > 5)],
    ['by another method', ['GET'].flatMap((method) => [':method', method, ...extendedConnect.slice(2)])],
    ['to two protocols', [':protocol', 'a', ...extendedConnect]],
    ['to no protocol', extendedConnect.with(3, '')],
    ['to a list of protocols', extendedConnect.with(3, 'a, b')],
    ['to a protocol with a line break', extendedConnect.with(3, 'a\r\nb')],
    ['to h2c', extendedConnect.with(3, 'h2c')],
    ['with a body', [...extendedConnect, 'content-length', '1']],
  ])('resets an upgrade %s', async (_title, fields) => {
    const server = await serve();
    const peer = await RawPeer.connect(server.port);
    peer.send(head(fields));
    expect(await peer.resetCode(1)).toBe(code.protocol);
    expect(server.requests).toEqual([]);
  });

  test('resets an upgrade that ends with its head', async () => {
    const server = await serve();
    const peer = await RawPeer.connect(server.port);
    peer.send(head(extendedConnect, flag.endStream));
    expect(await peer.resetCode(1)).toBe(code.protocol);
  });

  test('resets a tunnel in which there is more than data', async () => {
    const server = await serve(({ stream }) => stream.respond({ status: 101, headers: [] }, false));
    const peer = await RawPeer.connect(server.port);
    peer.send(head(extendedConnect));
    await peer.receive(type.headers, 1);
    peer.send(head(['x-trailer', '1'], flag.endStream));
    expect(await peer.resetCode(1)).toBe(code.protocol);
    expect(server.requests[0]).toMatchObject({ resetReason: 'protocol' });
  });

  test('leaves it to the handler how long a tunnel may be silent', async () => {
    const clock = new ManualClock();
    const server = await serve(
      ({ stream }) => stream.respond({ status: 101, headers: [] }, false),
      options({ streamIdleTimeout: 1000 }, clock),
    );
    const peer = await RawPeer.connect(server.port);
    peer.send(head(extendedConnect));
    await peer.receive(type.headers, 1);
    clock.advance(100_000);
    peer.send(frame(type.data, flag.endStream, 1, 'late'));
    await until(() => server.requests[0].over);
    expect(server.requests[0]).toMatchObject({ text: 'late', ended: true });
  });
});

describe('client and server together', () => {
  test('carry a tunnel whose directions end one by one', async () => {
    const server = await serve(({ stream }) => stream.respond({ status: 101, headers: ['x-a', '1'] }, false));
    const { connection } = await openClient(server.port);
    const response = new RecordedResponse();
    const stream = connection.request(chat, false, response);
    await until(() => response.head !== undefined);
    expect(response.head).toEqual({ status: 101, headers: ['x-a', '1'] });
    const [request] = server.requests;
    stream.write(Buffer.from('ping'));
    stream.end();
    await until(() => request.ended);
    expect(request.text).toBe('ping');
    expect(response.ended).toBe(false);
    request.stream.write(Buffer.from('pong'));
    request.stream.end();
    await until(() => response.ended);
    expect(response.text).toBe('pong');
    expect(connection.active).toBe(0);
  });

  test.each([200, 204, 299, 302, 403, 501, 503])('tell %d from a tunnel that opens', async (status) => {
    const body = status === 204 ? '' : 'an ordinary answer';
    const server = await serve((request) => request.answer(status, body, ['x-a', '1']));
    const { connection } = await openClient(server.port);
    const response = new RecordedResponse();
    connection.request(chat, false, response);
    await until(() => response.ended);
    expect(response.head).toEqual({ status, headers: ['x-a', '1'] });
    expect(response.text).toBe(body);
  });

  test('tell a peer that does not know better that 200 was no yes', async () => {
    const server = await serve((request) => request.answer(200, 'a page'));
    const peer = await RawPeer.connect(server.port);
    peer.send(head(extendedConnect));
    const { payload } = await peer.receive(type.headers, 1);
    expect(payload.toString('latin1')).toMatch(/501[\s\S]*meshwright-status[\s\S]*200$/);
  });
});

/** Our client on a connection whose server is the test. */
function openUpgrade(limits = {}, clock = new ManualClock()) {
  const connection = new MemoryConnection();
  const events: string[] = [];
  const owner = { onCapacity: () => events.push('capacity'), onRetire: () => events.push('retire') };
  const client = createHttp2Client(connection, owner, options(limits, clock));
  const response = new RecordedResponse();
  const stream = client.request(chat, false, response);
  const turn = () => new Promise(setImmediate);
  const written = () => splitFrames(Buffer.concat(connection.written).subarray(preface.length));
  const heads = () => written().filter((frame) => frame.type === type.headers);
  const receive = async (...frames: Buffer[]) => {
    connection.receive(Buffer.concat(frames));
    await turn();
  };
  return { connection, client, response, stream, events, turn, written, heads, receive, clock };
}

describe('the client', () => {
  test('asks for no upgrade before the server has said that it takes them', async () => {
    const { client, heads, receive, turn } = openUpgrade();
    const other = new RecordedResponse();
    client.request(get('/other'), true, other);
    await turn();
    expect(heads().map(({ streamId }) => streamId)).toEqual([1]);
    await receive(frame(type.settings, 0, 0, takesUpgrades));
    const [, upgrade] = heads();
    expect(upgrade.streamId).toBe(3);
    expect(upgrade.payload.toString('latin1')).toMatch(/CONNECT[\s\S]*:protocol[\s\S]*websocket[\s\S]*\/chat/);
    expect(upgrade.flags & flag.endStream).toBe(0);
  });

  test.each([
    ['says nothing of upgrades', Buffer.alloc(0)],
    ['takes none', takesNone],
  ])('asks for no upgrade where the server %s', async (_title, settings) => {
    const { client, heads, receive, response, turn } = openUpgrade();
    await receive(frame(type.settings, 0, 0, settings));
    await turn();
    expect(response.resetReason).toBe('unsupported');
    const again = new RecordedResponse();
    client.request(chat, false, again);
    await turn();
    expect(again.resetReason).toBe('unsupported');
    expect(heads()).toEqual([]);
    expect(client.active).toBe(0);
  });

  test('forgets an upgrade that nobody waits for any more', async () => {
    const { stream, heads, receive, response } = openUpgrade();
    stream.reset('cancelled');
    await receive(frame(type.settings, 0, 0, takesUpgrades));
    expect(heads()).toEqual([]);
    expect(response.over).toBe(false);
  });

  test('lets an upgrade go elsewhere when the server leaves before it was asked', async () => {
    const { connection, response } = openUpgrade();
    connection.handler.onClose();
    expect(response.resetReason).toBe('refused');
  });

  test('counts the upgrades that wait', async () => {
    const { client, response, turn } = openUpgrade({ maxConcurrentStreams: 1 });
    expect(client.capacity).toBe(0);
    const second = new RecordedResponse();
    client.request(chat, false, second);
    await turn();
    expect(second.resetReason).toBe('refused');
    expect(response.over).toBe(false);
  });

  test.each([
    ['neither yes nor no', [Buffer.from('000800000002', 'hex')]],
    ['no after yes', [takesUpgrades, takesNone]],
  ])('gives a server up that says %s', async (_title, settings) => {
    const { written, receive } = openUpgrade();
    await receive(...settings.map((payload) => frame(type.settings, 0, 0, payload)));
    const goAway = written().find((frame) => frame.type === type.goAway);
    expect(goAway?.payload.readUInt32BE(4)).toBe(code.protocol);
  });

  test('sees the end of a tunnel that ends with its head', async () => {
    const { receive, response, stream, client } = openUpgrade();
    await receive(frame(type.settings, 0, 0, takesUpgrades), head([':status', '200'], flag.endStream));
    expect(response).toMatchObject({ head: { status: 101 }, ended: true });
    expect(client.active).toBe(1);
    stream.end();
    expect(client.active).toBe(0);
  });

  test('leaves it to the caller how long a tunnel may be silent', async () => {
    const { receive, response, clock } = openUpgrade({ streamIdleTimeout: 1000 });
    await receive(frame(type.settings, 0, 0, takesUpgrades), head([':status', '200']));
    clock.advance(100_000);
    expect(response.resetReason).toBeUndefined();
    await receive(frame(type.data, 0, 1, 'late'));
    expect(response.text).toBe('late');
  });

  test('resets a tunnel in which there is more than data', async () => {
    const { receive, response } = openUpgrade();
    await receive(frame(type.settings, 0, 0, takesUpgrades), head([':status', '200']));
    await receive(head(['x-trailer', '1'], flag.endStream));
    expect(response).toMatchObject({ ended: false, resetReason: 'protocol' });
  });

  test.each(['101', '100x'])('takes no status %s for an answer', async (status) => {
    const { receive, response } = openUpgrade();
    await receive(frame(type.settings, 0, 0, takesUpgrades), head([':status', status]));
    expect(response.resetReason).toBe('protocol');
  });
});
