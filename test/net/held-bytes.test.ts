import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HeldBytes } from '../../runtime/net/held-bytes.ts';

const anyChunk = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc
    .uint8Array({ minLength: 1, maxLength: 5 })
    .chain((seed) => fc.integer({ min: 1, max: 50_000 }).map((size) => new Uint8Array(Buffer.alloc(size, seed)))),
);
const anyStep = fc.oneof(
  fc.record({ add: anyChunk, from: fc.nat(30) }),
  fc.record({ skip: fc.nat(20_000) }),
  fc.constant('shift' as const),
  fc.constant('look' as const),
);

function all(held: HeldBytes): Buffer {
  const chunks: Buffer[] = [];
  held.read((chunk) => chunks.push(Buffer.from(chunk)));
  return Buffer.concat(chunks);
}

describe('bytes that are held', () => {
  test('come out as they went in, whatever becomes of where they came from, beside others that are held', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(2), anyStep), { maxLength: 40 }), (steps) => {
        const queues = [0, 1, 2].map(() => ({ held: new HeldBytes(), model: Buffer.alloc(0) }));
        for (const [which, step] of steps) {
          const queue = queues[which];
          const { held } = queue;
          if (step === 'look') {
            expect(all(held).equals(queue.model)).toBe(true);
          } else if (step === 'shift') {
            const page = held.shift();
            if (!page) continue;
            const { length } = page.view;
            expect(page.view.equals(queue.model.subarray(0, length))).toBe(true);
            queue.model = queue.model.subarray(length);
            page.free();
          } else if ('skip' in step) {
            if (!held.first) continue;
            const count = Math.min(step.skip, held.first.view.length);
            held.skip(count);
            queue.model = queue.model.subarray(count);
          } else {
            const chunk = Buffer.from(step.add);
            const from = Math.min(step.from, chunk.length);
            held.add(chunk, from);
            queue.model = Buffer.concat([queue.model, chunk.subarray(from)]);
            chunk.fill(0xa5);
          }
          expect(held.length).toBe(queue.model.length);
        }
        for (const { held, model } of queues) {
          expect(all(held).equals(model)).toBe(true);
          held.clear();
        }
      }),
      { numRuns: 300 },
    );
  });

  test('are never where those of two others are, even if a page is freed twice, or read after that', () => {
    const size = 16_384;
    const hold = (letter: string) => {
      const held = new HeldBytes();
      held.add(Buffer.alloc(size, letter));
      return held;
    };
    const page = hold('a').shift()!;
    page.free();
    page.free();
    const [first, second] = [hold('b'), hold('c')];
    page.free();
    const third = hold('d');
    expect([first, second, third].map((held) => all(held).toString())).toEqual(
      ['b', 'c', 'd'].map((letter) => letter.repeat(size)),
    );
    expect(page.view).toHaveLength(0);
  });

  test('cost little more than what they are, however they came', () => {
    const held = new HeldBytes();
    for (let i = 0; i < 10_000; i++) held.add(Buffer.from('x'));
    let pages = 0;
    let reserved = 0;
    while (held.first) {
      const page = held.shift()!;
      pages++;
      reserved += page.bytes.length;
    }
    expect(pages).toBeLessThan(10);
    expect(reserved).toBeLessThan(40_000);
    held.add(Buffer.alloc(100));
    expect(held.first!.bytes.length).toBeLessThan(300);
  });
});
