import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseDuration } from '../../runtime/model/index.ts';
import { intersectHostnames } from '../../runtime/translate/routes/hostnames.ts';
import { indexSelectors, selects } from '../../runtime/translate/selector-index.ts';

const label = fc.constantFrom('a', 'b', 'c');
const labels = fc.dictionary(label, fc.constantFrom('1', '2'), { noNullPrototype: true });
const namespace = fc.constantFrom('x', 'y');

describe('indexSelectors', () => {
  it('finds exactly what comparing all with all finds, in their order', () => {
    const selecting = fc.array(fc.record({ namespace, selector: labels }), { maxLength: 12 });
    fc.assert(
      fc.property(selecting, namespace, labels, (entries, within, wanted) => {
        const numbered = entries.map((entry, value) => ({ ...entry, value }));
        const expected = numbered.filter(
          (entry) =>
            entry.namespace === within && Object.keys(entry.selector).length > 0 && selects(entry.selector, wanted),
        );
        expect(indexSelectors(numbered)(within, wanted)).toStrictEqual(expected.map(({ value }) => value));
      }),
    );
  });
});

describe('intersectHostnames', () => {
  const part = fc.constantFrom('a', 'b', 'com');
  const host = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.'));
  const pattern = fc.oneof(
    host,
    host.map((name) => `*.${name}`),
  );
  const matches = (name: string, wanted: string) =>
    name === '*' || name === wanted || (name.startsWith('*.') && wanted.endsWith(name.slice(1)));

  it('names exactly the hosts that both the listener and the route name', () => {
    fc.assert(
      fc.property(
        fc.option(pattern, { nil: undefined }),
        fc.array(pattern, { maxLength: 3 }),
        host,
        (listener, route, wanted) => {
          const byListener = listener === undefined || matches(listener, wanted);
          const byRoute = route.length === 0 || route.some((name) => matches(name, wanted));
          const common = intersectHostnames(listener, route).some((name) => matches(name, wanted));
          expect(common).toBe(byListener && byRoute);
        },
      ),
    );
  });
});

describe('parseDuration', () => {
  it('adds up the units of GEP-2257', () => {
    expect(['0s', '500ms', '1m30s', '2h', '1h1m1s1ms'].map(parseDuration)).toStrictEqual([
      0, 500, 90_000, 7_200_000, 3_661_001,
    ]);
  });
});
