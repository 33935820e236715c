import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatTarget, hostOf, normalizePath, portOf } from '../../runtime/engine/index.ts';

describe('a path is brought into one form', () => {
  test.each([
    ['/', '/'],
    ['/cart/1', '/cart/1'],
    ['/cart/', '/cart/'],
    ['//cart///1', '/cart/1'],
    ['/a/./b/../c', '/a/c'],
    ['/../../etc/passwd', '/etc/passwd'],
    ['/a/b/..', '/a/'],
    ['/a/.', '/a/'],
    ['/a/%2e%2E/b', '/b'],
    ['/%63art/%7euser', '/cart/~user'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/a%252Fb', '/a%252Fb'],
    ['/.../.hidden/..a', '/.../.hidden/..a'],
    ['/a?b=/../c&d=%2f', '/a?b=/../c&d=%2f'],
    ['/a?', '/a'],
    ['*', '*'],
  ])('%s becomes %s', (raw, normal) => {
    const normalized = normalizePath(raw)!;
    expect(formatTarget(normalized)).toBe(normal);
    expect(normalized.ambiguous).toBe(false);
  });
});

describe('a path is malformed', () => {
  test.each([
    '',
    'cart',
    'http://a/',
    '/a b',
    '/a\tb',
    '/a\0',
    '/a\\b',
    '/a#b',
    '/a?b#c',
    '/a?b c',
    '/%',
    '/%4',
    '/%zz',
    '/é',
    '*a',
    '?a',
  ])('%j', (raw) => {
    expect(normalizePath(raw)).toBeUndefined();
  });
});

describe('a path is ambiguous', () => {
  test.each(['/a%2fb', '/a%2Fb', '/a%5cb', '/a%00', '/a;x=1/b', '/a/..;/b', `/${'a'.repeat(4096)}`])('%s', (raw) => {
    expect(normalizePath(raw)).toMatchObject({ ambiguous: true });
  });
});

const rawPath = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '/',
        '//',
        '.',
        '..',
        '/..',
        '/./',
        '%2e',
        '%2F',
        '%5C',
        '%41',
        '%c3',
        '%25',
        ';',
        'a',
        'B',
        '~',
        '?',
        '=',
      ),
      fc.string({ maxLength: 3 }),
    ),
  )
  .map((parts) => `/${parts.join('')}`);

test('normal form is reached at once and kept', () => {
  fc.assert(
    fc.property(rawPath, (raw) => {
      const once = normalizePath(raw);
      fc.pre(once !== undefined);
      expect(normalizePath(formatTarget(once))).toEqual(once);
    }),
    { numRuns: 2000 },
  );
});

test('no spelling of a dot segment, a double slash or an unreserved escape survives', () => {
  fc.assert(
    fc.property(rawPath, (raw) => {
      const { path } = normalizePath(raw) ?? { path: '/' };
      expect(path).not.toMatch(/\/\/|\/\.{1,2}(\/|$)|%(2[DE]|5F|7E|3\d|[46][1-9A-F]|[57][0-9A])/i);
    }),
    { numRuns: 2000 },
  );
});

describe('an authority has a host and a port', () => {
  test.each([
    ['reviews', 'reviews', undefined],
    ['Reviews.Shop:9080', 'reviews.shop', 9080],
    ['reviews.shop.', 'reviews.shop', undefined],
    ['reviews.shop.:80', 'reviews.shop', 80],
    ['[::1]:8080', '[::1]', 8080],
    ['[::1]', '[::1]', undefined],
    ['10.0.0.1:80', '10.0.0.1', 80],
  ])('%s', (authority, host, port) => {
    expect([hostOf(authority), portOf(authority)]).toEqual([host, port]);
  });
});
