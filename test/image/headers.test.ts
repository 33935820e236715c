import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HeaderMap } from '../../image/headers.ts';

const name = fc.constantFrom('a', 'A', 'grpc-status', 'Content-Type', 'x-b');
const value = fc.stringMatching(/^[\t !-~]{0,12}$/);
const step = fc.oneof(
  fc.tuple(fc.constantFrom('append' as const, 'set' as const), name, value),
  fc.tuple(fc.constantFrom('get' as const, 'has' as const, 'delete' as const), name),
);

it('does what the global Headers does', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), fc.array(step), (initial, steps) => {
      const own = new HeaderMap(initial);
      const global = new Headers(initial);
      for (const [method, ...args] of steps) {
        const call = (headers: object) => (headers as Record<string, (...args: string[]) => unknown>)[method](...args);
        expect(call(own)).toEqual(call(global));
      }
      const seen: string[] = [];
      own.forEach((value, name) => {
        seen.push(name, value);
      });
      expect(seen).toEqual([...global].flat());
      expect([...own]).toEqual([...global]);
      expect([[...own.keys()], [...own.values()]]).toEqual([[...global.keys()], [...global.values()]]);
      expect([...new HeaderMap(own)]).toEqual([...new Headers(global)]);
      expect([...new HeaderMap(Object.fromEntries(global))]).toEqual([...new Headers(global)]);
    }),
  );
});
