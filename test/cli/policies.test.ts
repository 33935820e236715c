import { expect, it } from '@jest/globals';
import { meshwright } from './cli.ts';

const inShop = ['--manifests', 'examples/shop'];

it('explains which fault a request meets, and what answers then', async () => {
  const request = ['--from', 'shop/reviews-v2', '--to', 'http://ratings:9080/ratings/1'];
  const provoked = await meshwright(['explain', ...request, '-H', 'x-fault: ratings-down', ...inShop]);
  expect(provoked.stdout).toMatch(/^503: /);
  expect(provoked.stdout).toContain(
    '*  100% fault down of FaultPolicy shop/ratings-trouble: answered 503, header x-fault is ratings-down',
  );
  const { stdout } = await meshwright(['simulate', ...request, ...inShop, '-o', 'json']);
  const [{ faults }] = JSON.parse(stdout).targets;
  expect(faults).toEqual([]);
});

it('explains which rate limits count a request', async () => {
  const request = ['--from', 'shop/web', '--to', 'http://cart:7070/items'];
  const { stdout } = await meshwright(['explain', ...request, '-X', 'POST', ...inShop]);
  expect(stdout).toContain(
    '* limit filling of RateLimitPolicy shop/cart-limits: 200 in 1 s, up to 200 at once, for each caller',
  );
  const { stdout: other } = await meshwright(['explain', ...request, ...inShop]);
  expect(other).toContain('- limit filling of RateLimitPolicy shop/cart-limits: not so: method is POST or PUT');
});

it('explains how long a request may take', async () => {
  const toReviews = ['--from', 'shop/web', '--to', 'http://reviews:9080/reviews/1', ...inShop];
  const { stdout } = await meshwright(['explain', ...toReviews]);
  expect(stdout).toContain('  timeout   5000 ms\n  timeout   3000 ms without a byte\n');
  const { stdout: json } = await meshwright(['simulate', ...toReviews, '-o', 'json']);
  expect(JSON.parse(json).timeouts).toEqual({ request: 5000, streamIdle: 3000 });
});

it('explains which circuit breakers a request has to pass, and who judges the endpoints it goes to', async () => {
  const toRatings = ['--from', 'shop/reviews-v2', '--to', 'http://ratings:9080/ratings/1'];
  const { stdout } = await meshwright(['explain', ...toRatings, ...inShop]);
  expect(stdout).toContain(
    '* CircuitBreakerPolicy shop/ratings-limits limits shop/ratings:9080: at most 100 requests waiting for a connection, 500 requests under way, for each proxy of its callers',
  );
  const toReviews = ['--from', 'shop/web', '--to', 'http://reviews:9080/reviews/1'];
  const { stdout: reviews } = await meshwright(['explain', ...toReviews, ...inShop]);
  expect(reviews).toContain(
    '* one that fails is ejected after 5 gateway errors in a row, for 30 s and longer, 50% of them at most; so says OutlierDetectionPolicy shop/reviews-v1-outliers',
  );
  const { stdout: json } = await meshwright(['simulate', ...toReviews, ...inShop, '-o', 'json']);
  const targets: { service: string; outlierDetection?: string }[] = JSON.parse(json).targets;
  expect(targets.map(({ service, outlierDetection }) => [service, outlierDetection])).toEqual([
    ['shop/reviews-v1', 'OutlierDetectionPolicy shop/reviews-v1-outliers'],
    ['shop/reviews-v2', undefined],
    ['shop/reviews-v3', undefined],
  ]);
});
