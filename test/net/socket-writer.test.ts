import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { heldMemory } from '../../runtime/net/index.ts';
import { eventually } from '../support/eventually.ts';
import { dial, hangUp, type Transport } from './dial.ts';

afterEach(hangUp);

async function readToEnd(reader: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of reader) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
}

const anyChunk = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 40 }) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: fc.integer({ min: 10_000, max: 400_000 }).map((size) => Buffer.alloc(size, 'large ')) },
  { weight: 1, arbitrary: fc.integer({ min: 10_000, max: 200_000 }).map((size) => 'é'.repeat(size)) },
);
/** What one turn of the event loop writes, turn for turn. */
const anyTurns = fc.array(fc.array(anyChunk, { maxLength: 6 }), { minLength: 1, maxLength: 6 });
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describe.each<Transport>(['plain text', 'TLS'])('a connection over %s', (transport) => {
  it('delivers all that was written, in order, and then its end', async () => {
    await fc.assert(
      fc.asyncProperty(anyTurns, async (turns) => {
        const { reader, connection } = await dial(transport);
        for (const chunks of turns) {
          for (const chunk of chunks) connection.write(chunk);
          await nextTurn();
        }
        connection.end();
        const expected = turns
          .flat()
          .map((chunk) => (typeof chunk === 'string' ? chunk : chunk.toString('latin1')))
          .join('');
        expect((await readToEnd(reader)) === expected).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  it('says that a peer reads too slowly, once, and that it reads again, once', async () => {
    const { reader, connection, drained } = await dial(transport);
    const chunk = Buffer.alloc(65_536);
    let written = 0;
    while (connection.write(chunk)) {
      written++;
      // More than the kernel keeps for a peer that does not read.
      expect(written).toBeLessThan(1000);
    }
    connection.write('the last');
    expect(drained.count).toBe(0);
    connection.end();
    expect((await readToEnd(reader)).endsWith('the last')).toBe(true);
    expect(drained.count).toBe(1);
  });

  it('counts what waits for a peer that does not read, until it reads or is gone', async () => {
    for (const leaves of [false, true]) {
      const { reader, connection, drained, closed } = await dial(transport);
      const chunk = Buffer.alloc(65_536);
      // The kernel takes some megabytes, though nobody reads them.
      for (let heard = -1; heard < drained.count; ) {
        heard = drained.count;
        while (connection.write(chunk));
        for (let turn = 0; turn < 5; turn++) await nextTurn();
      }
      const waits = heldMemory.bytes;
      expect(waits).toBeGreaterThan(chunk.length / 2);
      expect(waits).toBeLessThanOrEqual(16 * chunk.length);
      if (leaves) connection.destroy();
      else {
        reader.resume();
        await eventually(() => heldMemory.bytes === 0);
        connection.destroy();
      }
      await closed;
      expect(heldMemory.bytes).toBe(0);
    }
  });

  it('takes a write from whoever hears that its peer reads again, at once, soon and later', async () => {
    const { reader, connection } = await dial(transport);
    const chunk = Buffer.alloc(65_536, 'chunk ');
    let written = 0;
    const write = (): boolean => {
      if (written === 1000) return false;
      written++;
      return connection.write(chunk);
    };
    const fill = (): void => {
      while (write());
      if (written === 1000) connection.end();
    };
    const ways = [fill, () => process.nextTick(fill), () => queueMicrotask(fill), () => setImmediate(fill)];
    let drains = 0;
    connection.handler = { onData() {}, onEnd() {}, onDrain: () => ways[drains++ % ways.length](), onClose() {} };
    fill();
    expect((await readToEnd(reader)) === chunk.toString('latin1').repeat(1000)).toBe(true);
    expect(drains).toBeGreaterThan(ways.length);
  });

  it('keeps the order where something had been written before it was one', async () => {
    const first = Buffer.alloc(4_000_000, 'before ');
    const { reader, connection } = await dial(transport, (socket) => socket.write(first));
    connection.write('after');
    connection.end();
    expect(await readToEnd(reader)).toBe(`${first.toString('latin1')}after`);
  });

  it('closes with an error when the peer is gone, though much waits', async () => {
    const { reader, connection, closed } = await dial(transport);
    for (let i = 0; i < 100; i++) connection.write(Buffer.alloc(65_536));
    if (transport === 'plain text') reader.resetAndDestroy();
    else reader.destroy();
    expect(await closed).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) });
  });

  it('gives back all that it was lent, once each, when it is closed at the latest', async () => {
    const { connection, closed } = await dial(transport);
    const given: number[] = [];
    const lend = (index: number) => {
      given[index] = 0;
      connection.write(Buffer.alloc(65_536), {
        release: () => {
          given[index]++;
        },
      });
    };
    // More than the kernel keeps for a peer that does not read.
    for (let index = 0; index < 500; index++) lend(index);
    if (transport === 'plain text') expect(given.at(-1)).toBe(0);
    connection.destroy();
    await closed;
    lend(500);
    expect(given).toEqual(given.map(() => 1));
  });

  it('takes writes after it was destroyed, and drops them', async () => {
    const { connection, closed } = await dial(transport);
    connection.write(Buffer.alloc(10_000_000));
    connection.destroy();
    expect(connection.write('too late')).toBe(true);
    expect(await closed).toBeUndefined();
    expect(connection.write('far too late')).toBe(true);
  });
});
