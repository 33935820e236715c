import { describe, expect, it } from '@jest/globals';
import { durationBounds, Registry } from '../../runtime/telemetry/index.ts';

describe('the metric registry', () => {
  it('exposes counters, gauges and histograms in Prometheus text format', () => {
    const registry = new Registry();
    registry.counter('requests_total', 'Requests.', ['service']).with('shop/web').add(3);
    registry.gauge('active', 'Active.').with().value = 2;
    const duration = registry.histogram('duration_seconds', 'Duration.', ['service']).with('a');
    for (const seconds of [0.0004, 0.002, 20]) duration.observe(seconds);
    const lines = registry.expose().split('\n');
    expect(lines).toContain('# TYPE requests_total counter');
    expect(lines).toContain('requests_total{service="shop/web"} 3');
    expect(lines).toContain('active 2');
    expect(lines).toContain('duration_seconds_bucket{service="a",le="0.0005"} 1');
    expect(lines).toContain('duration_seconds_bucket{service="a",le="0.0025"} 2');
    expect(lines).toContain('duration_seconds_bucket{service="a",le="10"} 2');
    expect(lines).toContain('duration_seconds_bucket{service="a",le="+Inf"} 3');
    expect(lines).toContain('duration_seconds_count{service="a"} 3');
  });

  it('counts a duration in the first bucket that holds it, bounds included', () => {
    const histogram = new Registry().histogram('d', 'D.').with();
    for (const bound of durationBounds) histogram.observe(bound);
    expect([...histogram.counts]).toEqual([...durationBounds.map(() => 1), 0]);
  });

  it('escapes label values', () => {
    const registry = new Registry();
    registry.counter('c', 'C.', ['l']).with('a"b\\c\nd').add();
    expect(registry.expose()).toContain('c{l="a\\"b\\\\c\\nd"} 1');
  });

  it('puts what is beyond its limit of series into one, so that no peer can make it grow', () => {
    const registry = new Registry(3);
    const family = registry.counter('c', 'C.', ['l']);
    for (let i = 0; i < 100; i++) family.with(String(i)).add();
    const series = registry.expose().match(/^c\{.*$/gm) ?? [];
    expect(series).toHaveLength(4);
    expect(series.at(-1)).toBe('c{l="overflow"} 97');
  });
});
