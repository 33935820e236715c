import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { defaultHttpLimits } from '../../runtime/net/index.ts';

/** Bytes that a codec may hold: what its limits say, and what it is made of. */
const bounds: readonly (readonly [kind: RegExp, bytes: number])[] = [
  [/HTTP\/1\.1/, 2 * defaultHttpLimits.maxHeadBytes],
  // A block of twice the size of a head, before it is decompressed, and a hundred streams.
  [/HTTP\/2/, 2 * defaultHttpLimits.maxHeadBytes + 140_000],
  // A table of 4096 bytes.
  [/^HPACK/, 32_768],
];

test('what a codec holds is bounded, whatever comes in and however long', async () => {
  const script = join(import.meta.dirname, 'held-memory.ts');
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', script]);
  const { 'a megabyte': megabyte, ...held } = JSON.parse(stdout) as Record<string, number>;
  expect(megabyte).toBeGreaterThan(900_000);
  expect(Object.keys(held).length).toBeGreaterThan(15);
  const beyond = Object.entries(held).filter(([input, bytes]) => {
    const bound = bounds.find(([kind]) => kind.test(input));
    return bound === undefined || bytes > bound[1];
  });
  expect(beyond).toEqual([]);
}, 120_000);
