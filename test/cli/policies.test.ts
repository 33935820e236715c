import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { meshwright } from './cli.ts';

const manifests = mkdtempSync(join(tmpdir(), 'meshwright-shop-'));
const inShop = ['--manifests', manifests];

// Once, for all that is asked.
beforeAll(async () => {
  await meshwright(['synth', 'examples/shop', '--output-dir', manifests]);
}, 60_000);

afterAll(() => rmSync(manifests, { recursive: true }));

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

it('explains which replica a request goes to, and by what of it', async () => {
  const toCatalog = ['--from', 'shop/web', '--to', 'http://catalog:9080/products', ...inShop];
  const { stdout } = await meshwright(['explain', ...toCatalog, '-H', 'x-user: ada']);
  expect(stdout).toContain(
    'endpoint of shop/catalog\n  * ring hash of header x-user; so says LoadBalancingPolicy shop/catalog-by-user',
  );
  const { stdout: nobody } = await meshwright(['explain', ...toCatalog]);
  expect(nobody).toContain('(peak EWMA), since header x-user to hash by is not there');
  const { stdout: json } = await meshwright(['simulate', ...toCatalog, '-H', 'x-user: ada', '-o', 'json']);
  expect(JSON.parse(json).targets).toMatchObject([
    { balancing: { kind: 'ring-hash', policy: 'LoadBalancingPolicy shop/catalog-by-user', key: 'ada' } },
  ]);
});

it('explains what is tried again, how much of it, and when a second try begins', async () => {
  const toRatings = ['--from', 'shop/reviews-v2', '--to', 'http://ratings:9080/ratings/1', ...inShop];
  const { stdout } = await meshwright(['explain', ...toRatings]);
  expect(stdout).toContain('  retry     2 times on 503, lost connections\n');
  expect(stdout).toContain('  budget    of shop/ratings: 30% of the requests of 10000 ms, or 10 in 1000 ms\n');
  expect(stdout).not.toContain('hedge');
  const toCatalog = ['--from', 'shop/web', '--to', 'http://catalog:9080/products', ...inShop];
  const { stdout: catalog } = await meshwright(['explain', ...toCatalog]);
  expect(catalog).toContain('  hedge     a second try after 300 ms\n');
  expect(catalog).not.toContain('retry');
  const { stdout: post } = await meshwright(['explain', ...toCatalog, '-X', 'POST']);
  expect(post).not.toContain('hedge');
});

it('explains who gets a copy', async () => {
  const toReviews = ['--from', 'shop/web', '--to', 'http://reviews:9080/reviews/1', ...inShop];
  const { stdout } = await meshwright(['explain', ...toReviews]);
  expect(stdout).toContain('  mirror    5% to shop/reviews-v3:9080\n');
  const { stdout: canary } = await meshwright(['explain', ...toReviews, '-H', 'x-canary: always']);
  expect(canary).not.toContain('mirror');
});

it('explains which web pages may read an answer', async () => {
  const atGateway = ['--gateway', 'shop/shop', '--to', 'http://shop.example/', ...inShop];
  const of = (origin: string) => meshwright(['explain', ...atGateway, '-H', `origin: ${origin}`]);
  expect((await of('https://blog.shop.example')).stdout).toContain(
    '  cors      origin https://blog.shop.example is allowed\n',
  );
  expect((await of('https://evil.example')).stdout).toContain(
    '  cors      origin https://evil.example is not allowed\n',
  );
});

it('explains where a redirect leads', async () => {
  const toOld = ['--gateway', 'shop/shop', '--to', 'http://shop.example/old-cart/items?page=2', ...inShop];
  const { stdout } = await meshwright(['explain', ...toOld]);
  expect(stdout).toMatch(
    /^302: redirected by rule old-cart of HTTPRoute shop\/shop-storefront\n {2}location {2}http:\/\/shop\.example\/api\/cart\/items\?page=2\n/,
  );
});

it('explains what a rule makes of path and headers, and of those of the answer', async () => {
  const toOld = ['--from', 'shop/web', '--to', 'http://catalog:9080/v1/products?page=1', ...inShop];
  const { stdout } = await meshwright(['explain', ...toOld]);
  expect(stdout).toContain(
    '   100%  shop/catalog:9080\n         rewritten: path /products?page=1\n         request headers: set x-api-version: v1\n',
  );
  const { stdout: json } = await meshwright(['simulate', ...toOld, '-H', 'Accept: text/html', '-o', 'json']);
  expect(JSON.parse(json).targets).toMatchObject([
    {
      forwarded: {
        path: '/products?page=1',
        host: 'catalog:9080',
        headers: { accept: 'text/html', 'x-api-version': 'v1' },
      },
    },
  ]);
  const { stdout: page } = await meshwright(['explain', '--gateway', 'shop/shop', '--to', 'http://a/', ...inShop]);
  expect(page).toContain(
    '         request headers: remove x-fault\n         response headers: set x-powered-by: meshwright; remove server\n',
  );
  expect(page).not.toContain('rewritten');
});

it('explains which host a request is sent on for, and what is changed for one target only', async () => {
  const toOld = ['--from', 'shop/web', '--to', 'http://reviews:9080/old/1', '--manifests', 'test/cli/fixtures'];
  const { stdout } = await meshwright(['simulate', ...toOld]);
  expect(stdout).toContain(
    '         rewritten: path /1, host reviews.example\n         request headers: add x-from: old\n',
  );
  const { stdout: json } = await meshwright(['simulate', ...toOld, '-o', 'json']);
  expect(JSON.parse(json).targets[0].forwarded).toEqual({
    path: '/1',
    host: 'reviews.example',
    headers: { 'x-from': 'old' },
  });
});
