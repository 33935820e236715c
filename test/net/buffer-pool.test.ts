import { describe, expect, test } from '@jest/globals';
import { BufferPool } from '../../runtime/net/buffer-pool.ts';

const size = 16;

/** How much of what is taken now was made before. */
function takeAgain(pool: BufferPool, known: ReadonlySet<Buffer>, count: number): number {
  const taken = Array.from({ length: count }, () => pool.take());
  for (const each of taken) pool.give(each);
  return taken.filter((each) => known.has(each)).length;
}

/** A pool that keeps 4 buffers, and the 100 that a burst needed at once. */
function afterBurst() {
  const pool = new BufferPool(size, 4 * size);
  const burst = new Set(Array.from({ length: 100 }, () => pool.take()));
  for (const each of burst) pool.give(each);
  return { pool, burst };
}

describe('a pool of buffers', () => {
  test('gives what came back, and never to two at once', () => {
    const { pool, burst } = afterBurst();
    expect(burst.size).toBe(100);
    expect(takeAgain(pool, burst, 100)).toBe(100);
  });

  test('keeps what was needed since it was trimmed', () => {
    const { pool, burst } = afterBurst();
    pool.trim();
    expect(takeAgain(pool, burst, 70)).toBe(70);
    pool.trim();
    expect(takeAgain(pool, burst, 100)).toBe(70);
  });

  test('lets go of what nobody needed, but for what it keeps for good', () => {
    const { pool, burst } = afterBurst();
    expect(pool.hasSpare).toBe(true);
    pool.trim();
    expect(pool.hasSpare).toBe(true);
    pool.trim();
    expect(pool.hasSpare).toBe(false);
    pool.trim();
    expect(takeAgain(pool, burst, 100)).toBe(4);
  });

  test('is exhausted when all are taken that there may be', () => {
    const pool = new BufferPool(size, size, 2 * size);
    const first = pool.take();
    expect(pool.isExhausted).toBe(false);
    pool.take();
    expect(pool.isExhausted).toBe(true);
    pool.give(first);
    expect(pool.isExhausted).toBe(false);
  });
});
