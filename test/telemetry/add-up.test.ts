import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { addUp, countsOf, Registry } from '../../runtime/telemetry/index.ts';

/** What a process exposes that has counted so much. */
function exposed(requests: Readonly<Record<string, number>>, active = 0, seconds: readonly number[] = []): string {
  const registry = new Registry();
  const family = registry.counter('requests_total', 'Requests, all of them.', ['path']);
  for (const [path, count] of Object.entries(requests)) family.with(path).add(count);
  registry.gauge('active', 'Under way.').with().add(active);
  const durations = registry.histogram('duration_seconds', 'Durations.').with();
  for (const one of seconds) durations.observe(one);
  return registry.expose();
}

it('adds the values of the same series, and keeps those that one process has alone', () => {
  const both = addUp([exposed({ 'a b': 2, c: 1 }, 3), exposed({ 'a b': 5, '# TYPE x y': 7 }, 4)]);
  expect(both).toBe(exposed({ 'a b': 7, c: 1, '# TYPE x y': 7 }, 7));
});

it('is what one process would have counted', () => {
  const seconds = fc.array(fc.double({ min: 0, max: 20, noNaN: true }).map((value) => Math.round(value * 1024) / 1024));
  const part = fc.tuple(fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.nat(1000), { minKeys: 3 }), fc.nat(), seconds);
  fc.assert(
    fc.property(part, part, ([one, active, some], [other, more, others]) => {
      const all = Object.fromEntries(Object.entries(one).map(([path, count]) => [path, count + other[path]]));
      const first = exposed(one, active, some);
      // The order of the series is that of the first.
      expect(addUp([first, exposed(other, more, others)])).toBe(exposed(all, active + more, [...some, ...others]));
      expect(addUp([first])).toBe(first);
    }),
  );
});

it('keeps counts and histograms of a process that is gone, not its gauges', () => {
  const kept = countsOf(exposed({ a: 2 }, 3, [0.5]));
  expect(kept).toContain('requests_total{path="a"} 2\n');
  expect(kept).toContain('duration_seconds_count 1\n');
  expect(kept).not.toContain('active');
  expect(countsOf('')).toBe('');
  expect(addUp([])).toBe('');
});
