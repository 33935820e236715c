import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { StreamTable } from '../../../runtime/net/http2/stream-table.ts';

const operations = fc.array(
  fc.record({ add: fc.boolean(), id: fc.integer({ min: 0, max: 60 }).map((number) => 2 * number + 1) }),
  { maxLength: 400 },
);

test('a table of streams holds what a Map would hold', () => {
  fc.assert(
    fc.property(operations, fc.integer({ min: 0, max: 3 }), (steps, spread) => {
      const table = new StreamTable<{ readonly id: number }>();
      const model = new Map<number, { readonly id: number }>();
      for (const step of steps) {
        // Ids that fall onto each other, too.
        const id = step.id * 32 ** spread;
        if (step.add && !model.has(id)) {
          const stream = { id };
          model.set(id, stream);
          table.add(stream);
        } else if (!step.add) {
          expect(table.delete(id)).toBe(model.delete(id));
        }
        expect(table.get(id)).toBe(model.get(id));
        expect(table.size).toBe(model.size);
      }
      expect(new Set(table.values())).toEqual(new Set(model.values()));
      for (const [id, stream] of model) expect(table.get(id)).toBe(stream);
      table.clear();
      expect(table.values()).toEqual([]);
    }),
  );
});
