import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  applyHeaderChange,
  chooseBackend,
  headerValue,
  normalizePath,
  redirectLocation,
  rewritePath,
} from '../../runtime/engine/index.ts';
import type { HeaderChange, Redirect } from '../../runtime/model/index.ts';
import { createRandom, exact, forward, match, prefix, rule, to } from './fixtures.ts';

describe('a backend is chosen by weight', () => {
  test('each gets its share', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 4 }), fc.nat(), (weights, seed) => {
        const backends = weights.map((weight, index) => to(`shop/v${index}`, weight));
        const random = createRandom(seed);
        const counts = new Map(backends.map((backend) => [backend, 0]));
        const rounds = 4000;
        for (let round = 0; round < rounds; round++) {
          const chosen = chooseBackend(rule('split', [], { action: forward(...backends) }), random);
          if (chosen) counts.set(chosen, counts.get(chosen)! + 1);
        }
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        for (const backend of backends) {
          const share = total === 0 ? 0 : backend.weight / total;
          expect(Math.abs(counts.get(backend)! / rounds - share)).toBeLessThan(share === 0 ? 1e-9 : 0.05);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('the ends of the random range stay inside', () => {
    const action = forward(to('a', 0), to('b', 1), to('c', 3), to('d', 0));
    expect(chooseBackend(rule('r', [], { action }), () => 0)?.target?.service).toBe('b');
    expect(chooseBackend(rule('r', [], { action }), () => 0.25)?.target?.service).toBe('c');
    expect(chooseBackend(rule('r', [], { action }), () => 1 - Number.EPSILON)?.target?.service).toBe('c');
  });

  test('nothing is chosen where nothing may be sent', () => {
    const redirect: Redirect = { status: 302 };
    expect(chooseBackend(rule('r', [], { action: forward() }), Math.random)).toBeUndefined();
    expect(chooseBackend(rule('r', [], { action: forward(to('a', 0)) }), Math.random)).toBeUndefined();
    expect(chooseBackend(rule('r', [], { action: { kind: 'redirect', redirect } }), Math.random)).toBeUndefined();
  });
});

describe('a header change', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const header = fc.record({ name, value: fc.constantFrom('1', '2', '') });
  const change: fc.Arbitrary<HeaderChange> = fc.record({
    set: fc.uniqueArray(header, { maxLength: 2, selector: ({ name }) => name }),
    add: fc.array(header, { maxLength: 2 }),
    remove: fc.array(name, { maxLength: 2 }),
  });
  const headers = fc.array(header, { maxLength: 5 }).map((list) => list.flatMap(({ name, value }) => [name, value]));
  const valuesOf = (list: readonly string[], wanted: string) =>
    list.filter((_, index) => index % 2 === 1 && list[index - 1] === wanted);

  test('removes, then sets, then adds', () => {
    fc.assert(
      fc.property(headers, change, name, (before, { set, add, remove }, name) => {
        const after = applyHeaderChange([...before], { set, add, remove });
        const replaced = set.filter((header) => header.name === name).map(({ value }) => value);
        const kept = replaced.length > 0 ? replaced : remove.includes(name) ? [] : valuesOf(before, name);
        const added = add.filter((header) => header.name === name).map(({ value }) => value);
        expect(valuesOf(after, name)).toEqual([...kept, ...added]);
      }),
    );
  });

  test('leaves the order of what it does not touch, and the list it was given', () => {
    const before = ['a', '1', 'b', '2', 'a', '3'];
    const after = applyHeaderChange(before, { set: [{ name: 'c', value: '4' }], add: [], remove: ['b'] });
    expect(after).toEqual(['a', '1', 'a', '3', 'c', '4']);
    expect(before).toEqual(['a', '1', 'b', '2', 'a', '3']);
    expect(headerValue(after, 'a')).toBe('1,3');
  });

  test('copies nothing where there is nothing to do', () => {
    const before = ['a', '1'];
    expect(applyHeaderChange(before, undefined)).toBe(before);
  });
});

describe('a path is rewritten', () => {
  test.each([
    // The table of the Gateway API's ReplacePrefixMatch.
    ['/foo/bar', '/foo', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo', '/xyz/', '/xyz/bar'],
    ['/foo/bar', '/foo/', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo/', '/xyz/', '/xyz/bar'],
    ['/foo', '/foo', '/xyz', '/xyz'],
    ['/foo/', '/foo', '/xyz', '/xyz/'],
    ['/foo/bar', '/foo', '', '/bar'],
    ['/foo/', '/foo', '', '/'],
    ['/foo', '/foo', '', '/'],
    ['/foo/', '/foo', '/', '/'],
    ['/foo', '/foo', '/', '/'],
    ['/foo/bar', '/', '/xyz', '/xyz/foo/bar'],
    ['/', '/', '/xyz', '/xyz/'],
  ])('%s with the prefix %s replaced by "%s" becomes %s', (path, matched, value, expected) => {
    expect(rewritePath(path, { kind: 'prefix', value }, match(prefix(matched)))).toBe(expected);
  });

  test('as a whole', () => {
    expect(rewritePath('/foo/bar', { kind: 'full', value: '/new' }, match(exact('/foo/bar')))).toBe('/new');
    expect(rewritePath('/foo/bar', { kind: 'full', value: '' }, match(prefix('/foo')))).toBe('/');
  });

  test('not at all without a change, or a prefix where none was matched', () => {
    expect(rewritePath('/foo', undefined, match(prefix('/foo')))).toBe('/foo');
    expect(rewritePath('/foo', { kind: 'prefix', value: '/x' }, match(exact('/foo')))).toBe('/foo');
  });

  test('into a path that is in normal form again', () => {
    const path = fc.array(fc.constantFrom('a', 'b'), { maxLength: 3 }).map((segments) => `/${segments.join('/')}`);
    const slashed = fc.tuple(path, fc.constantFrom('', '/')).map((parts) => parts.join('').replace('//', '/'));
    fc.assert(
      fc.property(slashed, path, slashed, (matched, below, value) => {
        const path = normalizePath(`${matched}${below}`)!.path;
        const rewritten = rewritePath(path, { kind: 'prefix', value }, match(prefix(matched)));
        expect(normalizePath(rewritten)?.path).toBe(rewritten);
      }),
    );
  });
});

describe('a redirect goes to', () => {
  test.each<[string, Partial<Redirect>, string, number | undefined, string]>([
    ['the same place with another scheme', { scheme: 'https' }, 'shop.test:8080', 8080, 'https://shop.test/cart/1?q=1'],
    [
      'another host on the port of the request',
      { host: 'other.test' },
      'shop.test:8080',
      80,
      'http://other.test:8080/cart/1?q=1',
    ],
    ['the port of the listener where the client said none', {}, 'shop.test', 8080, 'http://shop.test:8080/cart/1?q=1'],
    ['the given port', { port: 8083 }, 'shop.test', 80, 'http://shop.test:8083/cart/1?q=1'],
    [
      'the given port of a given scheme',
      { scheme: 'https', port: 8443 },
      'shop.test',
      80,
      'https://shop.test:8443/cart/1?q=1',
    ],
    ['no port where it is the usual one', { port: 80 }, 'shop.test:8080', 80, 'http://shop.test/cart/1?q=1'],
    [
      'port 80 of https where that is asked for',
      { scheme: 'https', port: 80 },
      'shop.test',
      80,
      'https://shop.test:80/cart/1?q=1',
    ],
    ['a new prefix', { path: { kind: 'prefix', value: '/basket' } }, 'shop.test', 80, 'http://shop.test/basket/1?q=1'],
    ['a new path', { path: { kind: 'full', value: '/' } }, '[::1]:80', 80, 'http://[::1]/?q=1'],
  ])('%s', (_, redirect, authority, listenerPort, location) => {
    const request = { scheme: 'http', authority, path: '/cart/1', query: 'q=1', listenerPort } as const;
    expect(redirectLocation(request, { status: 302, ...redirect }, match(prefix('/cart')))).toBe(location);
  });
});
