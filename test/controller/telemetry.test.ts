import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { quantile } from '../../runtime/controller/telemetry/histograms.ts';
import { parsePrometheusText } from '../../runtime/controller/telemetry/prometheus-text.ts';
import { startScraper } from '../../runtime/controller/telemetry/scraper.ts';
import { Traffic } from '../../runtime/controller/telemetry/traffic.ts';
import { systemClock } from '../../runtime/model/index.ts';
import { ProxyMetrics } from '../../runtime/proxy/index.ts';
import { Registry } from '../../runtime/telemetry/index.ts';
import { eventually } from '../support/eventually.ts';

describe('parsePrometheusText', () => {
  it('reads what our own registry writes, whatever the label values are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.double({ noNaN: true }), (label, value) => {
        const registry = new Registry();
        registry.gauge('a_metric', 'Help.', ['first', 'second']).with(label, 'x').value = value;
        const [sample] = parsePrometheusText(registry.expose());
        expect(sample).toMatchObject({
          name: 'a_metric',
          labels: new Map([
            ['first', label],
            ['second', 'x'],
          ]),
        });
        expect(sample.value).toBe(value === 0 ? 0 : value);
      }),
    );
  });

  it('reads infinities, missing labels, trailing commas and time stamps, and skips what is no sample', () => {
    const text = '# HELP a b\na +Inf\nb{x="1",} -Inf 1700000000\nnonsense{ 1\nc{x="1"} word\n\nd NaN';
    expect([...parsePrometheusText(text)].map(({ name, value }) => [name, value])).toStrictEqual([
      ['a', Number.POSITIVE_INFINITY],
      ['b', Number.NEGATIVE_INFINITY],
      ['d', Number.NaN],
    ]);
  });

  it('never throws and always ends', () => {
    fc.assert(fc.property(fc.string(), (text) => [...parsePrometheusText(text)].length >= 0));
  });
});

describe('quantile', () => {
  it('lies within the bucket that holds the rank', () => {
    const buckets = new Map([
      [0.1, 50],
      [0.2, 90],
      [0.4, 99],
      [Number.POSITIVE_INFINITY, 100],
    ]);
    expect(quantile(0.5, buckets)).toBeCloseTo(0.1);
    expect(quantile(0.7, buckets)).toBeCloseTo(0.15);
    expect(quantile(0.99, buckets)).toBeCloseTo(0.4);
    expect(quantile(1, buckets)).toBe(0.4);
    expect(quantile(0.5, new Map([[0.1, 0]]))).toBeUndefined();
  });
});

/** A proxy's counters. */
function proxy() {
  const registry = new Registry();
  const labels = ['service', 'version', 'source', 'mtls', 'response_class'];
  const server = registry.histogram('http_server_request_duration_seconds', 'Help.', labels);
  const client = registry.histogram('http_client_request_duration_seconds', 'Help.', [
    'source',
    'service',
    'target',
    'route',
    'mtls',
    'response_class',
  ]);
  return {
    expose: () => registry.expose(),
    serve(count: number, { mtls = 'true', status = '2xx', version = 'v1', seconds = 0.003 } = {}) {
      for (let n = 0; n < count; n++) server.with('shop/reviews', version, 'shop/web', mtls, status).observe(seconds);
    },
    call(count: number, target: string, status = '2xx') {
      for (let n = 0; n < count; n++)
        client.with('shop/web', 'shop/reviews', target, 'canary', 'true', status).observe(0.02);
    },
  };
}

describe('Traffic', () => {
  it('gives rates between two scrapes, added up over proxies, by service and version', () => {
    const traffic = new Traffic();
    const [one, two] = [proxy(), proxy()];
    one.serve(1000);
    traffic.record('one', one.expose(), 0);
    traffic.record('two', two.expose(), 0);
    one.serve(30);
    one.serve(10, { status: '5xx' });
    two.serve(40, { mtls: 'false' });
    two.serve(4, { version: 'v2' });
    traffic.record('one', one.expose(), 2000);
    traffic.record('two', two.expose(), 2000);
    expect(traffic.services()).toMatchObject([
      { service: 'shop/reviews', version: 'v1', rps: 40, success: 1 - 10 / 80, mtls: 0.5 },
      { service: 'shop/reviews', version: 'v2', rps: 2, success: 1, mtls: 1 },
    ]);
    const [{ p50, p99 }] = traffic.services();
    expect(p50).toBeCloseTo(3.75);
    expect(p99).toBeCloseTo(4.975);
  });

  it('gives edges from source to target', () => {
    const traffic = new Traffic();
    const web = proxy();
    traffic.record('web', web.expose(), 0);
    web.call(90, 'shop/reviews-v1');
    web.call(10, 'shop/reviews-v2', 'none');
    traffic.record('web', web.expose(), 1000);
    expect(traffic.edges()).toMatchObject([
      { source: 'shop/web', service: 'shop/reviews', target: 'shop/reviews-v1', rps: 90, success: 1, mtls: 1 },
      { source: 'shop/web', service: 'shop/reviews', target: 'shop/reviews-v2', rps: 10, success: 0 },
    ]);
  });

  it('tells of each edge what breakers refused, what took too long and how many endpoints are ejected, and of others nothing', () => {
    const traffic = new Traffic();
    const sidecar = () => {
      const metrics = new ProxyMetrics();
      const call = (target: string) =>
        metrics.clientDuration.with('shop/web', 'shop/reviews', target, 'canary', 'true', '2xx').observe(0.02);
      call('shop/reviews-v1');
      call('shop/reviews-v2');
      const refuse = (count: number) => {
        const policy = 'CircuitBreakerPolicy shop/limits';
        metrics.breakerRefusals.with('shop/web', 'shop/reviews', 'shop/reviews-v1', policy, 'requests').add(count);
      };
      const eject = (count: number) => {
        metrics.ejected.with('shop/web', 'shop/reviews-v1', '9080').value = count;
      };
      const end = (count: number) =>
        metrics.timeouts.with('shop/web', 'shop/reviews', 'shop/reviews-v1', 'canary', 'request').add(count);
      return { refuse, eject, end, expose: () => metrics.registry.expose() };
    };
    const [one, two] = [sidecar(), sidecar()];
    one.refuse(50);
    traffic.record('one', one.expose(), 0);
    traffic.record('two', two.expose(), 0);
    one.refuse(10);
    one.end(6);
    one.eject(2);
    two.refuse(4);
    two.eject(1);
    traffic.record('one', one.expose(), 2000);
    traffic.record('two', two.expose(), 2000);
    const [v1, v2] = traffic.edges();
    expect(v1).toMatchObject({ target: 'shop/reviews-v1', refused: 7, timedOut: 3, ejected: 2 });
    expect(v2).toMatchObject({ target: 'shop/reviews-v2' });
    expect(Object.keys(v2)).not.toEqual(expect.arrayContaining(['refused']));
    one.eject(0);
    two.eject(0);
    for (let at = 4000; at < 20_000; at += 2000) {
      traffic.record('one', one.expose(), at);
      traffic.record('two', two.expose(), at);
    }
    expect(Object.keys(traffic.edges()[0])).toEqual(Object.keys(traffic.edges()[1]));
  });

  it('tells which circuit breakers are open or refused something, and which endpoints are ejected, at how many proxies', () => {
    const traffic = new Traffic();
    const limits = 'CircuitBreakerPolicy shop/limits';
    const sidecar = () => {
      const metrics = new ProxyMetrics();
      return {
        open: (target: string, limit: string, open: number) => {
          metrics.breakerOpen.with(target, limits, limit).value = open;
        },
        refuse: (count: number) =>
          metrics.breakerRefusals.with('shop/web', 'shop/web', 'shop/web', limits, 'pending').add(count),
        eject: (count: number) => {
          metrics.ejected.with('shop/web', 'shop/reviews-v1', '9080').value = count;
        },
        expose: () => metrics.registry.expose(),
      };
    };
    const sidecars = { one: sidecar(), two: sidecar() };
    const record = (at: number) => {
      for (const [name, each] of Object.entries(sidecars)) traffic.record(name, each.expose(), at);
    };
    const { one, two } = sidecars;
    one.open('shop/reviews:9080', 'requests', 0);
    one.eject(0);
    one.refuse(100);
    record(0);
    expect(traffic.policies()).toEqual({ circuitBreakers: [], ejections: [] });
    // Of a proxy with workers, the values of all are added.
    one.open('shop/reviews:9080', 'requests', 2);
    one.open('HTTPRoute shop/all', 'requests', 1);
    one.eject(1);
    two.open('shop/reviews:9080', 'requests', 1);
    two.eject(3);
    one.refuse(6);
    record(2000);
    expect(traffic.policies()).toEqual({
      circuitBreakers: [
        { policy: limits, limit: 'pending', open: [], proxies: 0, refused: 3 },
        {
          policy: limits,
          limit: 'requests',
          open: ['HTTPRoute shop/all', 'shop/reviews:9080'],
          proxies: 2,
          refused: 0,
        },
      ],
      ejections: [{ service: 'shop/reviews-v1', port: 9080, ejected: 3, proxies: 2 }],
    });
    traffic.retain(new Set(['one']));
    expect(traffic.policies().ejections).toMatchObject([{ ejected: 1, proxies: 1 }]);
  });

  it('counts from zero where a proxy began anew, and says nothing of shares without requests', () => {
    const traffic = new Traffic();
    const old = proxy();
    old.serve(500);
    traffic.record('one', old.expose(), 0);
    const fresh = proxy();
    fresh.serve(8);
    traffic.record('one', fresh.expose(), 4000);
    expect(traffic.services()).toMatchObject([{ rps: 2 }]);
    for (let at = 8000; at < 40_000; at += 4000) traffic.record('one', fresh.expose(), at);
    expect(traffic.services()).toStrictEqual([{ service: 'shop/reviews', version: 'v1', rps: 0 }]);
    traffic.retain(new Set());
    expect(traffic.services()).toStrictEqual([]);
  });
});

describe('the scraper', () => {
  it('takes the metrics of targets that answer and passes over the others', async () => {
    const server = createServer((request, response) => {
      if (request.url?.startsWith('/metrics')) response.end('up 1\n');
    });
    const broken = createServer((_, response) => response.writeHead(500).end('up 0\n'));
    for (const one of [server, broken]) await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve));
    const target = (id: string, port: number) => ({ id, address: `127.0.0.1:${port}` });
    const targets = [
      target('good', (server.address() as AddressInfo).port),
      target('broken', (broken.address() as AddressInfo).port),
      target('gone', 1),
      { id: 'without brackets', address: 'fd77::5:15020' },
      { id: 'astray', address: `127.0.0.1:${(server.address() as AddressInfo).port}/metrics?` },
    ];
    const metrics = new Map<string, string>();
    let rounds = 0;
    const scraper = startScraper({
      clock: systemClock,
      targets: () => targets,
      onMetrics: ({ id }, text) => metrics.set(id, text),
      onRound: () => rounds++,
    });
    await eventually(() => rounds === 1);
    expect([...metrics]).toStrictEqual([['good', 'up 1\n']]);
    scraper.close();
    for (const one of [server, broken]) await new Promise((resolve) => one.close(resolve));
  });
});

describe('TCP streams', () => {
  const exposition = (opened: number) => {
    const registry = new Registry();
    const family = registry.counter('tcp_connections_opened_total', 'Help.', [
      'direction',
      'service',
      'source',
      'mtls',
    ]);
    family.with('outbound', 'shop/cart-store', 'shop/cart', 'true').add(opened);
    family.with('inbound', 'shop/cart', 'shop/web', 'true').add(7);
    return registry.expose();
  };

  it('are edges of their own, also when none was opened lately', () => {
    const traffic = new Traffic();
    traffic.record('cart-0', exposition(1), 0);
    traffic.record('cart-0', exposition(3), 2_000);
    const edge = {
      source: 'shop/cart',
      service: 'shop/cart-store',
      target: 'shop/cart-store',
      protocol: 'tcp',
      mtls: 1,
    };
    expect(traffic.edges()).toEqual([{ ...edge, rps: 1 }]);
    for (let at = 4_000; at < 20_000; at += 2_000) traffic.record('cart-0', exposition(3), at);
    expect(traffic.edges()).toEqual([{ ...edge, rps: 0 }]);
  });
});
