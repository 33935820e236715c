import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createHttp1Client } from '../../runtime/net/http1/index.ts';
import { IdleLimit } from '../../runtime/net/index.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { Fetched, limits, MemoryConnection, turn } from './http1/support.ts';

const most = 60_000;
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

/** Connections to one peer, which closes each after `patience` milliseconds of idleness. */
function peerWith(patience: number) {
  const clock = new ManualClock();
  const idle = new IdleLimit();
  const peer = { patience, most };
  const open = async () => {
    const connection = new MemoryConnection();
    const owner = { onCapacity() {}, onRetire() {} };
    const client = createHttp1Client(connection, owner, { limits: limits({ idleTimeout: peer.most }), clock, idle });
    const head = { method: 'GET', scheme: 'http' as const, authority: 'a', path: '/', headers: [] };
    let answered = 0;
    const ask = async () => {
      client.request(head, true, new Fetched());
      await turn();
      connection.receive(ok);
      const count = ++answered;
      clock.schedule(peer.patience, () => count === answered && !connection.destroyed && connection.handler.onEnd());
    };
    await ask();
    return { connection, client, ask };
  };
  return { clock, idle, peer, open };
}

describe('connections that may be idle', () => {
  test('as long as the proxy allows, where nothing is known of the peer', () => {
    expect(new IdleLimit().current).toBe(Number.POSITIVE_INFINITY);
    expect(new IdleLimit().beginProbe(most)).toBeUndefined();
  });

  test('are used for less than the peer kept one', async () => {
    const { clock, idle, open } = peerWith(5000);
    const { connection } = await open();
    clock.advance(5000);
    expect([connection.destroyed, idle.current]).toEqual([true, 4000]);
    const [one, other] = [await open(), await open()];
    clock.advance(3999);
    expect([one.client.capacity, other.client.capacity]).toEqual([1, 1]);
    clock.advance(1);
    expect([one.client.capacity, other.client.capacity]).toEqual([0, 0]);
    // One of them stays to learn more, the other goes.
    expect([one, other].map(({ connection }) => connection.destroyed).sort()).toEqual([false, true]);
    clock.advance(1000);
    expect([one.connection.destroyed, other.connection.destroyed, idle.current]).toEqual([true, true, 4000]);
  });

  test('are not used once they are too old, even before a late timer says so', async () => {
    const { clock, idle, open } = peerWith(most);
    const { client, connection } = await open();
    clock.advance(3000);
    idle.onClosed(2000);
    expect([client.capacity, connection.destroyed]).toEqual([0, false]);
  });

  test('are used longer again where what was learned came of a restart', async () => {
    const { clock, idle, open } = peerWith(5000);
    const { connection } = await open();
    clock.advance(2);
    connection.handler.onEnd();
    expect(idle.current).toBe(1);
    for (let round = 0; round < 20 && idle.current < 4000; round++) {
      const before = idle.current;
      await open();
      clock.advance(10_000);
      expect(idle.current).toBeGreaterThan(before);
    }
    expect(idle.current).toBe(4000);
  });

  test('follow a peer that becomes less patient, and one that becomes more', async () => {
    const { clock, idle, peer, open } = peerWith(20_000);
    await open();
    clock.advance(20_000);
    expect(idle.current).toBe(19_000);
    peer.patience = 2000;
    await open();
    clock.advance(2000);
    expect(idle.current).toBe(1000);
    peer.patience = most * 10;
    for (let round = 0; round < 10; round++) {
      await open();
      clock.advance(most);
    }
    expect(idle.current).toBe(most);
  });

  test('are not used twice where the peer closes after every answer without saying so', async () => {
    const { clock, idle, open } = peerWith(0);
    await open();
    clock.advance(0);
    const { client } = await open();
    expect([idle.current, client.capacity]).toEqual([0, 0]);
  });

  test('teach nothing when we close them, or when they break under a request', async () => {
    const { clock, idle, open } = peerWith(most);
    const [closed, broken] = [await open(), await open()];
    clock.advance(10);
    closed.client.destroy();
    const fetched = new Fetched();
    broken.client.request({ method: 'GET', scheme: 'http', authority: 'a', path: '/', headers: [] }, true, fetched);
    await turn();
    broken.connection.handler.onEnd();
    expect([fetched.reset, idle.current]).toEqual(['connection', Number.POSITIVE_INFINITY]);
  });

  test('follow what the proxy allows, lower and higher, however long the peer is known', async () => {
    const { clock, idle, peer, open } = peerWith(10 * most);
    const usedFor = async () => {
      const { client } = await open();
      let usable = 0;
      for (; client.capacity > 0; usable += 1000) clock.advance(1000);
      return usable;
    };
    expect(await usedFor()).toBe(most);
    peer.most = 10_000;
    expect(await usedFor()).toBe(10_000);
    peer.most = 3 * most;
    expect(await usedFor()).toBe(3 * most);
    idle.onClosed(5000);
    for (let round = 0; round < 10; round++) await usedFor().then(() => clock.advance(3 * most));
    expect(await usedFor()).toBe(3 * most);
  });

  test('never stay, to learn more, for longer than the proxy allows', async () => {
    const { clock, idle, open } = peerWith(10 * most);
    idle.onClosed(0.8 * most);
    const { connection } = await open();
    clock.advance(most - 1);
    expect(connection.destroyed).toBe(false);
    clock.advance(1);
    expect([connection.destroyed, idle.current]).toEqual([true, most]);
  });

  test('are not used for as long as the peer has closed one after', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2 * most }), { minLength: 1 }), (closings) => {
        const idle = new IdleLimit();
        for (const age of closings) idle.onClosed(age);
        const last = closings[closings.length - 1];
        if (last > 0) expect(idle.current).toBeLessThan(last);
      }),
    );
  });
});
