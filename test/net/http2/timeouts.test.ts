import { afterEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '../../support/manual-clock.ts';
import { block, code, flag, frame, openRequest, preface, RawPeer, request, requestFields, type } from './frames.ts';
import { closeAll, get, listen, openClient, openSocket, options, RecordedResponse, serve, until } from './support.ts';

afterEach(closeAll);

describe('the server', () => {
  test.each([
    ['does not say hello', Buffer.alloc(0)],
    ['says hello without its settings', preface],
    ['begins a head and does not finish it', Buffer.concat([preface, frame(4, 0, 0), request(1).subarray(0, 30)])],
    ['never sends the CONTINUATION', Buffer.concat([preface, frame(4, 0, 0), frame(1, 0, 1, block(...requestFields))])],
  ])('closes when a client %s', async (_name, bytes) => {
    const clock = new ManualClock();
    const server = await serve(() => {}, options({ headTimeout: 10_000 }, clock));
    const peer = new RawPeer(await openSocket(server.port));
    peer.send(bytes);
    await peer.receive(type.settings);
    if (bytes.length > preface.length)
      await until(() => peer.frames.some(({ type, flags }) => type === 4 && flags === flag.ack));
    clock.advance(9_999);
    expect(peer.find(type.goAway)).toBeUndefined();
    clock.advance(10_001);
    expect(await peer.goAwayCode()).toBe(code.calm);
    expect(server.requests).toHaveLength(0);
  });

  test('gives a stream up on which nothing moves, and keeps those that do', async () => {
    const clock = new ManualClock();
    const server = await serve(() => {}, options({ streamIdleTimeout: 1000 }, clock));
    const peer = await RawPeer.connect(server.port);
    peer.send(openRequest(1), openRequest(3));
    await until(() => server.requests.length === 2);
    for (let i = 0; i < 20; i++) {
      clock.advance(100);
      peer.send(frame(type.data, 0, 3, 'x'));
      await peer.settle();
    }
    expect(await peer.resetCode(1)).toBe(code.cancel);
    expect(server.requests[0].resetReason).toBe('cancelled');
    expect(server.requests[1]).toMatchObject({ resetReason: undefined, bytes: 20 });
  });

  test('closes a connection without exchanges, and none that has one', async () => {
    const clock = new ManualClock();
    const server = await serve(() => {}, options({ idleTimeout: 1000, streamIdleTimeout: 1_000_000 }, clock));
    const peer = await RawPeer.connect(server.port);
    peer.send(request(1));
    await until(() => server.requests.length === 1);
    clock.advance(5500);
    await peer.settle();
    expect(peer.find(type.goAway)).toBeUndefined();
    server.requests[0].answer(200);
    clock.advance(999);
    await peer.settle();
    expect(peer.find(type.goAway)).toBeUndefined();
    clock.advance(2000);
    expect(await peer.goAwayCode()).toBe(code.none);
  });

  test('finishes draining although the client does not answer', async () => {
    const clock = new ManualClock();
    const server = await serve(() => {}, options({}, clock));
    const peer = await RawPeer.connect(server.port);
    peer.send(request(1));
    await until(() => server.requests.length === 1);
    server.connections[0].drain();
    await peer.receive(type.goAway);
    clock.advance(1000);
    peer.send(request(3));
    expect(await peer.resetCode(3)).toBe(code.refused);
    const [first, second] = peer.frames
      .filter((frame) => frame.type === type.goAway)
      .map(({ payload }) => payload.readUInt32BE());
    expect([first, second]).toEqual([0x7fff_ffff, 1]);
    server.requests[0].answer(200, 'finished');
    await until(() => peer.ended);
    expect(peer.find(type.data, 1)?.payload.toString()).toBe('finished');
  });
});

describe('the client', () => {
  test('asks a silent server whether it is there, and gives the connection up without an answer', async () => {
    const clock = new ManualClock();
    let server: RawPeer | undefined;
    const port = await listen((socket) => {
      server = new RawPeer(socket, preface.length);
      server.send(frame(type.settings, 0, 0));
    });
    const keepalive = { interval: 10_000, timeout: 3000 };
    const { connection, events } = await openClient(port, { ...options({}, clock), keepalive });
    await until(() => events.includes('capacity 1000'));
    const response = new RecordedResponse();
    connection.request(get('/'), true, response);
    const pings = () => server!.frames.filter((frame) => frame.type === type.ping).length;
    clock.advance(10_000);
    clock.advance(10_000);
    await until(() => pings() === 1);
    server!.send(
      frame(type.ping, flag.ack, 0, 'are you?'),
      frame(type.headers, flag.endHeaders, 1, Buffer.from([0x88])),
    );
    await until(() => response.head !== undefined);
    clock.advance(3000);
    expect(response.over).toBe(false);
    clock.advance(20_000);
    await until(() => response.over);
    expect(response.resetReason).toBe('connection');
    expect(events.at(-1)).toBe('retire');
  });
});
