import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileRules, compileVirtualHosts, explainRoute, type HttpRequest } from '../../runtime/engine/index.ts';
import type { HttpMatch, HttpRule } from '../../runtime/model/index.ts';
import { exact, is, match, prefix, regex, request, rule } from './fixtures.ts';

function decided(rules: readonly HttpRule[], asked: HttpRequest): string | undefined {
  return compileRules(rules).route(asked)?.rule.name;
}

describe('a match', () => {
  test.each<[string, HttpMatch, HttpRequest, boolean]>([
    ['a prefix matches itself', match(prefix('/cart')), request('/cart'), true],
    ['a prefix matches whole segments below', match(prefix('/cart')), request('/cart/1'), true],
    ['a prefix does not match part of a segment', match(prefix('/cart')), request('/cartoon'), false],
    ['a final slash of a prefix does not count', match(prefix('/cart/')), request('/cart'), true],
    ['a prefix is case-sensitive', match(prefix('/cart')), request('/Cart'), false],
    ['/ matches everything', match(prefix('/')), request('/any/thing/'), true],
    ['/ matches OPTIONS *', match(prefix('/')), request('*', { method: 'OPTIONS' }), true],
    ['an exact path does not match below', match(exact('/cart')), request('/cart/'), false],
    ['a path of a rule is compared in normal form', match(exact('/%63af%c3%a9')), request('/caf%C3%A9'), true],
    ['a pattern must match the whole path', match(regex('/v[12]')), request('/v1/x'), false],
    ['a pattern matches', match(regex('/v[12]/.*')), request('/v2/x'), true],
    ['a method matches', match(prefix('/'), { method: 'POST' }), request('/', { method: 'POST' }), true],
    ['another method does not', match(prefix('/'), { method: 'POST' }), request('/'), false],
    [
      'a header matches',
      match(prefix('/'), { headers: [is('x-a', '1')] }),
      request('/', { headers: ['x-a', '1'] }),
      true,
    ],
    ['an absent header does not', match(prefix('/'), { headers: [is('x-a', '')] }), request('/'), false],
    [
      'headers of one name are joined',
      match(prefix('/'), { headers: [is('x-a', '1,2')] }),
      request('/', { headers: ['x-a', '1', 'x-b', '3', 'x-a', '2'] }),
      true,
    ],
    ...[4096, 4097].map((length): [string, HttpMatch, HttpRequest, boolean] => [
      `a pattern is tried on a value of ${length} characters`,
      match(prefix('/'), { headers: [{ name: 'x-a', value: { kind: 'regex', value: 'a*' } }] }),
      request('/', { headers: ['x-a', 'a'.repeat(length)] }),
      length === 4096,
    ]),
    [
      'of several conditions on a header the first counts',
      match(prefix('/'), { headers: [is('x-a', '1'), is('x-a', '2')] }),
      request('/', { headers: ['x-a', '1'] }),
      true,
    ],
    [
      'the host can be compared like a header',
      match(prefix('/'), { headers: [is('host', 'reviews.shop')] }),
      request('/'),
      true,
    ],
    [
      'a query parameter matches',
      match(prefix('/'), { query: [is('q', 'a b&')] }),
      request('/', { query: 'x=1&q=a+b%26' }),
      true,
    ],
    [
      'the first value of a parameter counts',
      match(prefix('/'), { query: [is('q', '2')] }),
      request('/', { query: 'q=1&q=2' }),
      false,
    ],
    [
      'a parameter without value is empty',
      match(prefix('/'), { query: [is('q', '')] }),
      request('/', { query: 'q&r=1' }),
      true,
    ],
    [
      'a malformed escape is compared as it is',
      match(prefix('/'), { query: [is('q', '%zz')] }),
      request('/', { query: 'q=%zz' }),
      true,
    ],
  ])('%s', (_, condition, asked, matches) => {
    expect(decided([rule('it', [condition])], asked) === 'it').toBe(matches);
  });
});

describe('of several rules that match', () => {
  const asked = request('/cart/items', { headers: ['x-a', '1', 'x-b', '1'], query: 'q=1' });
  test.each<[string, HttpMatch, HttpMatch]>([
    ['an exact path comes before a pattern', match(exact('/cart/items')), match(regex('/cart/items'))],
    ['a pattern comes before a prefix', match(regex('/c.*')), match(prefix('/cart/items'))],
    [
      'a longer prefix comes before conditions',
      match(prefix('/cart/items')),
      match(prefix('/cart'), { method: 'GET' }),
    ],
    [
      'a method comes before headers',
      match(prefix('/'), { method: 'GET' }),
      match(prefix('/'), { headers: [is('x-a', '1')] }),
    ],
    [
      'more headers come first',
      match(prefix('/'), { headers: [is('x-a', '1'), is('x-b', '1')] }),
      match(prefix('/'), { headers: [is('x-a', '1')], query: [is('q', '1')] }),
    ],
    ['more parameters come first', match(prefix('/'), { query: [is('q', '1')] }), match(prefix('/'))],
  ])('%s', (_, winner, loser) => {
    expect(decided([rule('loser', [loser]), rule('winner', [winner])], asked)).toBe('winner');
    expect(decided([rule('winner', [winner]), rule('loser', [loser])], asked)).toBe('winner');
  });

  test('the earlier one comes first where they tie', () => {
    expect(decided([rule('first', [match(prefix('/cart/'))]), rule('second', [match(prefix('/cart'))])], asked)).toBe(
      'first',
    );
  });
});

const segment = fc.constantFrom('a', 'b', 'c.d');
const path = fc.array(segment, { maxLength: 3 }).map((segments) => `/${segments.join('/')}`);
const condition = fc
  .tuple(fc.constantFrom('x', 'y'), fc.constantFrom('1', '2'))
  .map(([name, value]) => is(name, value));
const anyMatch: fc.Arbitrary<HttpMatch> = fc.record({
  path: fc.oneof(
    path.map(exact),
    path.map(prefix),
    path.map((value) => prefix(value === '/' ? value : `${value}/`)),
    path.map((value) => regex(`${value}.*`)),
  ),
  method: fc.option(fc.constantFrom('GET', 'POST'), { nil: undefined }),
  headers: fc.uniqueArray(condition, { maxLength: 2, selector: ({ name }) => name }),
  query: fc.uniqueArray(condition, { maxLength: 2, selector: ({ name }) => name }),
});
const anyRules = fc
  .array(fc.array(anyMatch, { minLength: 1, maxLength: 3 }), { maxLength: 8 })
  .map((matches) => matches.map((each, index) => rule(`rule-${index}`, each)));
const pairs = fc.uniqueArray(condition, { maxLength: 2, selector: ({ name }) => name });
const anyRequest = fc
  .record({
    path: fc.tuple(path, fc.constantFrom('', '/')),
    method: fc.constantFrom('GET', 'POST'),
    headers: pairs,
    query: pairs,
  })
  .map(({ path, method, headers, query }) =>
    request(path.join('').replace('//', '/'), {
      method,
      headers: headers.flatMap(({ name, value }) => [name, value.value]),
      query: query.map(({ name, value }) => `${name}=${value.value}`).join('&'),
    }),
  );

/** The Gateway API's text, word by word and slowly. */
function referenceMatches({ path, method, headers, query }: HttpMatch, asked: HttpRequest): boolean {
  const segments = (text: string) => text.split('/').filter((part) => part !== '');
  const asPath = {
    exact: () => asked.path === path.value,
    regex: () => new RegExp(`^(?:${path.value})$`).test(asked.path),
    prefix: () => segments(path.value).every((part, index) => segments(asked.path)[index] === part),
  };
  const parameters = new URLSearchParams(asked.query);
  return (
    asPath[path.kind]() &&
    (method === undefined || method === asked.method) &&
    headers.every(
      ({ name, value }) =>
        asked.headers[asked.headers.indexOf(name) + 1] === value.value && asked.headers.includes(name),
    ) &&
    query.every(({ name, value }) => parameters.get(name) === value.value)
  );
}

const trimmed = (value: string) => value.replace(/\/$/, '').length;
const isAhead = (left: HttpMatch, right: HttpMatch): number =>
  ['prefix', 'regex', 'exact'].indexOf(left.path.kind) - ['prefix', 'regex', 'exact'].indexOf(right.path.kind) ||
  (left.path.kind === 'prefix' ? trimmed(left.path.value) - trimmed(right.path.value) : 0) ||
  Number(left.method !== undefined) - Number(right.method !== undefined) ||
  left.headers.length - right.headers.length ||
  left.query.length - right.query.length;

test('the router agrees with the text of the Gateway API', () => {
  fc.assert(
    fc.property(anyRules, anyRequest, (rules, asked) => {
      let best: { rule: HttpRule; match: HttpMatch } | undefined;
      for (const rule of rules) {
        for (const match of rule.matches) {
          if (referenceMatches(match, asked) && (!best || isAhead(match, best.match) > 0)) best = { rule, match };
        }
      }
      const found = compileRules(rules).route(asked);
      expect([found?.rule, found?.match]).toEqual([best?.rule, best?.match]);
    }),
    { numRuns: 3000 },
  );
});

test('the order of the rules matters only where they tie', () => {
  fc.assert(
    fc.property(anyRules, anyRequest, fc.infiniteStream(fc.nat()), (rules, asked, numbers) => {
      const shuffled = [...rules].map((rule) => ({ rule, key: numbers.next().value })).sort((a, b) => a.key - b.key);
      const before = compileRules(rules).route(asked)?.match;
      const after = compileRules(shuffled.map(({ rule }) => rule)).route(asked)?.match;
      expect(before && after ? isAhead(before, after) : before === after ? 0 : 1).toBe(0);
    }),
  );
});

test('what explain says is what the router does', () => {
  fc.assert(
    fc.property(anyRules, anyRequest, (rules, asked) => {
      const router = compileRules(rules);
      const { decided, considered } = explainRoute(router, asked);
      expect(decided).toBe(router.route(asked));
      expect(considered).toHaveLength(rules.flatMap(({ matches }) => matches).length);
      for (const { match, verdict } of considered) {
        expect(verdict !== 'no-match').toBe(referenceMatches(match, asked));
        expect(verdict === 'decided').toBe(match === decided?.match);
      }
    }),
    { numRuns: 1000 },
  );
});

test('explain says why each rule did or did not decide', () => {
  const rules = [
    rule('all', [match(prefix('/'))]),
    rule('canary', [match(prefix('/'), { headers: [is('x-user', 'beta')] })]),
    rule('admin', [match(prefix('/admin'))]),
  ];
  const { considered } = explainRoute(compileRules(rules), request('/', { headers: ['x-user', 'beta'] }));
  expect(considered.map(({ rule, verdict, reason }) => `${rule.name} ${verdict}: ${reason}`)).toEqual([
    'admin no-match: not so: path is /admin or below',
    'canary decided: any path, header x-user is beta',
    'all not-first: HTTPRoute shop/reviews canary also matches: more conditions on headers come first',
  ]);
});

describe('the most specific host name decides', () => {
  const all = [match(prefix('/'))];
  const router = compileVirtualHosts([
    { hostnames: ['*'], rules: [rule('any', all)] },
    { hostnames: ['*.example.com'], rules: [rule('wildcard', all)] },
    { hostnames: ['*.eu.example.com'], rules: [rule('longer wildcard', all)] },
    { hostnames: ['Shop.example.com', 'shop.test'], rules: [rule('exact', [match(prefix('/cart'))])] },
    { hostnames: ['shop.example.com'], rules: [rule('exact, second', [match(prefix('/list'))])] },
  ]);
  test.each([
    ['shop.example.com', '/cart', 'exact'],
    ['SHOP.example.com:8443', '/cart', 'exact'],
    ['shop.example.com', '/list', 'exact, second'],
    ['shop.example.com', '/', undefined],
    ['a.example.com', '/', 'wildcard'],
    ['a.b.example.com', '/', 'wildcard'],
    ['a.b.eu.example.com', '/', 'longer wildcard'],
    ['example.com', '/', 'any'],
    ['notexample.com', '/', 'any'],
    // Longer than a host name can be: nobody searches it for wildcards.
    [`${'a.'.repeat(30_000)}example.com`, '/', 'any'],
    ['*.example.com', '/', 'any'],
  ])('%s%s goes to %s', (authority, path, name) => {
    expect(router.route(request(path, { authority }))?.rule.name).toBe(name);
  });
});
