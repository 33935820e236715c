import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileFaults, explainFaults } from '../../runtime/engine/index.ts';
import type { Fault, FaultPolicy } from '../../runtime/model/index.ts';
import { createRandom, is } from './fixtures.ts';

const policy: FaultPolicy['policy'] = { kind: 'FaultPolicy', namespace: 'shop', name: 'trouble' };

function fault(rest: Partial<Fault> = {}): Fault {
  return { name: 'slow', headers: [], percent: 100, delay: 500, ...rest };
}

const injectorOf = (...faults: Fault[]) => compileFaults([{ policy, faults }])!;

describe('a fault', () => {
  test('is nothing where no policy holds', () => {
    expect(compileFaults(undefined)).toBeUndefined();
    expect(compileFaults([{ policy, faults: [] }])).toBeUndefined();
  });

  test('happens where its headers ask for it only', () => {
    const injector = injectorOf(fault({ headers: [is('x-fault', 'slow'), is('x-user', 'tester')] }));
    const never = () => {
      throw new Error('nothing is to be drawn');
    };
    expect(injector.draw([], never)).toBeUndefined();
    expect(injector.draw(['x-fault', 'slow'], never)).toBeUndefined();
    expect(injector.draw(['x-user', 'tester', 'x-fault', 'slow'], () => 0.99)?.fault.name).toBe('slow');
  });

  test.each<[Partial<Fault>, string]>([
    [{}, '500 ms late'],
    [{ delay: undefined, abort: { kind: 'http', status: 503 } }, 'answered 503'],
    [{ abort: { kind: 'grpc', status: 'UNAVAILABLE' } }, 'answered with gRPC status UNAVAILABLE 500 ms late'],
  ])('says what it does: %j', (rest, effect) => {
    expect(injectorOf(fault(rest)).faults[0].reason).toBe(`fault slow of FaultPolicy shop/trouble: ${effect}`);
  });

  test('has exactly its share of the draws, as explained, whatever comes before it', () => {
    const given = fc.array(fc.record({ percent: fc.integer({ min: 0, max: 100 }), asked: fc.boolean() }), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(given, (specs) => {
        const injector = injectorOf(
          ...specs.map(({ percent, asked }, index) =>
            fault({ name: `fault-${index}`, percent, headers: asked ? [is('x-fault', 'yes')] : [] }),
          ),
        );
        for (const headers of [[], ['x-fault', 'yes']]) {
          const counts = new Map<string, number>();
          // One draw in the middle of each hundredth.
          for (let index = 0; index < 100; index++) {
            const name = injector.draw(headers, () => (index + 0.5) / 100)?.fault.name;
            if (name) counts.set(name, (counts.get(name) ?? 0) + 1);
          }
          for (const { fault, probability } of explainFaults(injector, headers)) {
            expect((counts.get(fault.name) ?? 0) / 100).toBeCloseTo(probability, 9);
          }
        }
      }),
    );
  });

  test('is drawn anew each time', () => {
    const injector = injectorOf(fault({ percent: 30 }));
    const random = createRandom(3);
    const drawn = Array.from({ length: 2000 }, () => injector.draw([], random)).filter(Boolean).length;
    expect(drawn / 2000).toBeCloseTo(0.3, 1);
  });
});
