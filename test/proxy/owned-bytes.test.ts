import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { largeBuffersAtHand } from '../net/large-buffers.ts';
import { eventually } from '../support/eventually.ts';
import { closeAll } from './mesh.ts';
import { noFindings, startStrangers } from './owned-bytes.ts';

afterEach(closeAll);

describe('bytes of many connections that share their buffers', () => {
  it('reach nobody but whom they are for: uploads, downloads, streams, tunnels, repeated, mirrored, late and cut', async () => {
    const atHand = largeBuffersAtHand();
    const findings = noFindings();
    const { round, copied } = await startStrangers(findings);
    const [seed] = fc.sample(fc.nat(), 1);
    let state = seed;
    const random = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    for (let i = 0; i < 3; i++) await round(random, 48);
    expect({ seed, wrong: findings.wrong }).toEqual({ seed, wrong: [] });
    expect(findings.whole).toBeGreaterThan(100);
    expect(findings.broken).toBeGreaterThan(5);
    expect(copied.count).toBeGreaterThan(5);
    await closeAll();
    await eventually(() => largeBuffersAtHand() === atHand);
  }, 30_000);
});
