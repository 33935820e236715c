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
