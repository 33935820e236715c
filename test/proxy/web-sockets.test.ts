import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { AccessPolicy, HttpRule } from '../../runtime/model/index.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { opcode, openWebSocket } from '../support/web-socket.ts';
import { startFlood } from './flood.ts';
import { closeAll, readUntil, startPairTo } from './mesh.ts';
import { endpointsOf, forwardTo, identityOf, service } from './resources.ts';
import { startChat, switching, upgradeTo } from './upgrades.ts';

afterEach(closeAll);

function allow(methods: string[], path: string): AccessPolicy {
  return {
    policy: { kind: 'AccessPolicy', namespace: 'shop', name: 'chat' },
    rules: [
      {
        name: 'chat',
        action: 'allow',
        from: [],
        to: [{ methods, paths: [{ kind: 'exact', value: path }] }],
      },
    ],
  };
}

describe('a WebSocket through two sidecars', () => {
  it('is one to a client that is not ours: texts, large messages, subprotocol, close code', async () => {
    const { outbound } = await startChat();
    const socket = new WebSocket(`ws://127.0.0.1:${outbound}/chat`, ['soap', 'wamp']);
    socket.binaryType = 'arraybuffer';
    const messages: (string | Buffer)[] = [];
    socket.onmessage = ({ data }) => messages.push(typeof data === 'string' ? data : Buffer.from(data));
    await new Promise((resolve) => {
      socket.onopen = resolve;
    });
    expect(socket.protocol).toBe('soap');
    const large = Buffer.alloc(3_000_000, 'large ');
    socket.send('hello');
    socket.send(large);
    await eventually(() => messages.length === 2);
    expect(messages[0]).toBe('hello');
    expect(large.equals(messages[1] as Buffer)).toBe(true);
    const closed = new Promise<CloseEvent>((resolve) => {
      socket.onclose = resolve;
    });
    socket.close(4001, 'enough');
    expect(await closed).toMatchObject({ code: 4001, reason: 'enough', wasClean: true });
  });

  it('keeps frames as they are: pings, fragments, close codes', async () => {
    const { outbound, app } = await startChat();
    const { peer } = await openWebSocket(outbound, '/chat');
    peer.send(opcode.ping, 'are you there?');
    expect(await peer.next()).toEqual({ final: true, opcode: opcode.pong, payload: Buffer.from('are you there?') });
    peer.send(opcode.text, 'first half, ', false);
    peer.send(0, 'second half', true);
    expect(await peer.next()).toMatchObject({ final: false, opcode: opcode.text });
    expect(await peer.next()).toMatchObject({ final: true, opcode: 0, payload: Buffer.from('second half') });
    peer.close(1001, 'going away');
    expect((await peer.next()).payload.readUInt16BE()).toBe(1001);
    await peer.untilEnd();
    peer.stream.end();
    await eventually(() => app.peers.size === 0);
  });

  it('is encrypted between them', async () => {
    const { outbound, wire } = await startChat();
    const { peer } = await openWebSocket(outbound, '/chat');
    peer.send(opcode.text, 'whispered'.repeat(3));
    await peer.next();
    expect(wire.bytes().includes('sec-websocket')).toBe(false);
    peer.stream.destroy();
  });

  it('is routed as a request is: matched, rewritten, its headers changed both ways', async () => {
    const rule: Partial<HttpRule> = {
      matches: [{ path: { kind: 'prefix', value: '/live' }, method: 'GET', headers: [], query: [] }],
      rewrite: { path: { kind: 'prefix', value: '/chat' } },
      requestHeaders: { set: [{ name: 'x-set', value: 'by route' }], add: [], remove: ['x-gone'] },
      responseHeaders: { set: [{ name: 'x-answer', value: 'changed' }], add: [], remove: ['x-app'] },
    };
    const { outbound, requests } = await startChat({ rules: [forwardTo('shop/reviews', 9080, rule)] });
    const { peer, response } = await openWebSocket(outbound, '/live/room?id=7', { 'x-gone': '1' });
    expect(response.headers).toMatchObject({ 'x-answer': 'changed', upgrade: 'websocket' });
    expect(response.headers['x-app']).toBeUndefined();
    expect(requests[0]).toMatchObject({ method: 'GET', url: '/chat/room?id=7' });
    expect(requests[0].headers).toMatchObject({
      'x-set': 'by route',
      'sec-websocket-version': '13',
      'x-forwarded-client-cert': `URI=${identityOf('web')}`,
    });
    expect(requests[0].headers['x-gone']).toBeUndefined();
    peer.stream.destroy();
    await expect(openWebSocket(outbound, '/elsewhere')).rejects.toThrow('refused with 404');
  });

  it('needs the access that the same GET needs', async () => {
    const { outbound, server } = await startChat({ access: [allow(['GET'], '/chat')] });
    const { peer } = await openWebSocket(outbound, '/chat');
    peer.stream.destroy();
    await expect(openWebSocket(outbound, '/chat/admin')).rejects.toThrow('refused with 403');
    expect(server.metrics.registry.expose()).toMatch(/meshwright_access_denied_total\{.*\} 1/);
  });

  it('is logged when it ends, with its bytes, and counted when it begins', async () => {
    const { outbound, client, server } = await startChat();
    const { peer } = await openWebSocket(outbound, '/chat');
    for (const { metrics } of [client, server]) {
      expect(metrics.registry.expose()).toMatch(/request_duration_seconds_count\{.*response_class="1xx"\} 1/);
      expect(metrics.activeRequests.value).toBe(1);
    }
    peer.send(opcode.text, 'twelve bytes');
    await peer.next();
    peer.stream.end();
    await eventually(() => client.log.entries.length + server.log.entries.length === 2);
    // Client frames carry a mask of four bytes.
    const entry = { method: 'GET', path: '/chat', status: 101, bytes_received: 18, bytes_sent: 14, mtls: true };
    expect(client.log.entries[0]).toMatchObject({ ...entry, service: 'shop/reviews' });
    expect(server.log.entries[0]).toMatchObject({ ...entry, source: identityOf('web') });
    expect(client.metrics.activeRequests.value + server.metrics.activeRequests.value).toBe(0);
  });

  it('survives a thousand changes of configuration', async () => {
    const { outbound, client, server, wire } = await startChat();
    const { peer } = await openWebSocket(outbound, '/chat');
    for (let round = 0; round < 1000; round++) {
      const rules = [forwardTo('shop/reviews', 9080, { name: `rule-${round}` })];
      const endpoints = [{ port: wire.port, identity: identityOf('reviews') }];
      client.proxy.apply([service('reviews', 9080, 'http', rules)], 'service', []);
      // Every other change takes its endpoint away.
      client.proxy.apply([endpointsOf('reviews', 9080, round % 2 ? endpoints : [])], 'endpoints', []);
      const [workload] = server.proxy.resources;
      server.proxy.apply([{ ...workload }], 'workload', []);
      if (round % 100 > 0) continue;
      peer.send(opcode.text, `round ${round}`);
      expect((await peer.next()).payload.toString()).toBe(`round ${round}`);
    }
    peer.close(1000);
    expect((await peer.next()).opcode).toBe(opcode.close);
    peer.stream.destroy();
  });

  it('outlives the limits of its route', async () => {
    const rule: Partial<HttpRule> = { timeouts: { request: 60, backendRequest: 50 } };
    const clock = new ManualClock();
    const { outbound, client } = await startChat({ clock, rules: [forwardTo('shop/reviews', 9080, rule)] });
    const { peer } = await openWebSocket(outbound, '/chat');
    for (let time = 0; time < 150; time += 30) {
      clock.advance(30);
      peer.send(opcode.text, 'still there');
      await peer.next();
    }
    expect(client.log.entries).toEqual([]);
    peer.stream.destroy();
  });

  it('may go on while the proxy drains, until its time is up', async () => {
    const clock = new ManualClock();
    const { outbound, client } = await startChat({ clock, limits: { drainTimeout: 300 } });
    const { peer } = await openWebSocket(outbound, '/chat');
    const drained = client.proxy.drain();
    clock.advance(299);
    peer.send(opcode.text, 'last words');
    expect((await peer.next()).payload.toString()).toBe('last words');
    clock.advance(1);
    await drained;
    await peer.untilEnd();
  });

  it('holds up no drain once it is closed', async () => {
    const { outbound, client, server } = await startChat({ limits: { drainTimeout: 60_000 } });
    const { peer } = await openWebSocket(outbound, '/chat');
    const drained = Promise.all([client.proxy.drain(), server.proxy.drain()]);
    peer.close(1000);
    await peer.untilEnd();
    peer.stream.end();
    await drained;
  });

  it('closes when nothing is said for as long as TCP streams may be silent', async () => {
    const { outbound, client, app } = await startChat({ limits: { tcpIdleTimeout: 100 } });
    const { peer } = await openWebSocket(outbound, '/chat');
    await peer.untilEnd();
    await eventually(() => app.peers.size === 0 && client.log.entries.length > 0);
    expect(client.log.entries[0].error).toMatch(/nothing was sent for 100 ms|broke off/);
  });

  it('slows its writer down when nobody reads', async () => {
    const flood = await startFlood(switching('flood'));
    const { outbound } = await startPairTo(flood.port);
    const socket = connect(outbound, '127.0.0.1');
    socket.write(upgradeTo('flood'));
    await readUntil(socket, '\r\n\r\n');
    socket.pause();
    expect(await flood.settled()).toBeLessThan(40_000_000);
    socket.destroy();
  });

  it('takes the application down with it when the client vanishes, and the other way round', async () => {
    const { outbound, app, client, server } = await startChat();
    const first = await openWebSocket(outbound, '/chat');
    first.peer.stream.destroy();
    await eventually(() => app.peers.size === 0);
    const second = await openWebSocket(outbound, '/chat');
    for (const { stream } of app.peers) (stream as Socket).resetAndDestroy();
    await second.peer.untilEnd();
    await eventually(() => client.metrics.activeRequests.value + server.metrics.activeRequests.value === 0);
  });
});
