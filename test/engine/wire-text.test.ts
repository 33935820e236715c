import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  applyHeaderChange,
  compileAccess,
  compileFaults,
  compileKey,
  compileRateLimits,
  compileRules,
  fromWire,
  normalizePath,
} from '../../runtime/engine/index.ts';
import type { HttpMatch } from '../../runtime/model/index.ts';
import { accessRule, createClock, exact, is, match, prefix, regex, request, rule, shopPolicy } from './fixtures.ts';

/** Bytes as the codecs hold them. */
const bytes = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
const matches = (condition: HttpMatch, asked: ReturnType<typeof request>) =>
  compileRules([rule('it', [condition])]).route(asked) !== undefined;
const header = (value: string) => request('/', { headers: ['x-name', value] });
const pattern = (value: string) => ({ name: 'x-name', value: { kind: 'regex', value } }) as const;
/** Not UTF-8: latin1, half a character, an overlong slash, a lone surrogate, bytes that never occur in UTF-8. */
const broken = ['\xfc', '\xc3', '\xc0\xaf', '\xed\xa0\x80', '\xff', '\xfe\xff', 'always\xff', '\xffalways'];

describe('a configured text', () => {
  test.each(['ü', '€', '日本語', '👍', 'naïve café', '\ufeffmark'])('%s is compared as UTF-8', (text) => {
    const condition = match(prefix('/'), { headers: [is('x-name', text)] });
    expect(matches(condition, header(bytes(text)))).toBe(true);
    expect(matches(condition, header(`${bytes(text)}x`))).toBe(false);
    expect(matches(match(prefix('/'), { headers: [pattern(text)] }), header(bytes(text)))).toBe(true);
    expect(matches(match(prefix('/'), { headers: [pattern('[^a-z]+.*')] }), header(bytes(text)))).toBe(
      /^[^a-z]/.test(text),
    );
  });

  test('is one character for a pattern, however many bytes it has', () => {
    const condition = match(prefix('/'), { headers: [pattern('[üö].')] });
    expect(matches(condition, header(bytes('ü👍')))).toBe(true);
    expect(matches(condition, header(bytes('üü👍')))).toBe(false);
  });

  test('is found in a query, escaped or not, and as the name of a parameter', () => {
    const condition = match(prefix('/'), { query: [is('größe', 'ü')] });
    for (const query of [
      `${bytes('größe')}=${bytes('ü')}`,
      'gr%C3%B6%c3%9fe=%C3%BC',
      `gr%C3%B6${bytes('ß')}e=%c3%bc`,
    ]) {
      expect(matches(condition, request('/', { query }))).toBe(true);
    }
    for (const query of ['größe=ü', 'gr%F6%DFe=%FC', 'gr%C3%B6%C3%9Fe=%FC']) {
      expect(matches(condition, request('/', { query }))).toBe(false);
    }
    const key = compileKey({ kind: 'ring-hash', by: { kind: 'query', name: 'größe' } })!;
    expect(key(request('/', { query: 'gr%C3%B6%C3%9Fe=7' }), undefined)).toBe('7');
  });

  test('is found in a path, where it is escaped', () => {
    for (const path of [exact('/menü'), prefix('/menü'), exact('/men%c3%bc')]) {
      expect(matches(match(path), request(normalizePath('/men%C3%bc')!.path))).toBe(true);
      expect(matches(match(path), request(normalizePath('/menu')!.path))).toBe(false);
    }
  });

  test('is sent as UTF-8', () => {
    const change = { set: [{ name: 'x-name', value: '€' }], add: [{ name: 'x-more', value: 'ü' }], remove: [] };
    expect(applyHeaderChange([], change)).toEqual(['x-name', '\xe2\x82\xac', 'x-more', '\xc3\xbc']);
  });

  test('matches what it is sent as, whatever it is', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 }).filter((value) => value.isWellFormed());
    fc.assert(
      fc.property(text, (value) => {
        expect(matches(match(prefix('/'), { headers: [is('x-name', value)] }), header(bytes(value)))).toBe(true);
        expect(fromWire(bytes(value))).toBe(value);
      }),
    );
  });
});

describe.each(broken)('bytes that are no UTF-8 (%j)', (value) => {
  test('equal no configured text, and are nothing that a pattern names', () => {
    for (const text of ['ü', 'always', Buffer.from(value, 'latin1').toString('utf8')]) {
      expect(matches(match(prefix('/'), { headers: [is('x-name', text)] }), header(value))).toBe(false);
    }
    expect(matches(match(prefix('/'), { headers: [pattern('(ü|always|\\xff|[a-zÀ-ÿ]+)')] }), header(value))).toBe(
      false,
    );
    expect(matches(match(prefix('/'), { query: [is('q', 'ü')] }), request('/', { query: `q=${value}` }))).toBe(false);
    expect(matches(match(prefix('/'), { query: [is('q', 'ü')] }), request('/', { query: `q=${escape(value)}` }))).toBe(
      false,
    );
  });

  test('have a bucket of their own, and draw no fault that asks for a text', () => {
    const policy = { kind: 'RateLimitPolicy', namespace: 'shop', name: 'cart' };
    const limit = {
      requests: 1,
      interval: 1000,
      burst: 1,
      to: [],
      name: 'it',
      key: { kind: 'header', name: 'x-name' },
    } as const;
    const limiter = compileRateLimits(
      [{ policy, limits: [limit] }],
      [{ port: 80, protocol: 'http' }],
      createClock(),
    ).get(80)!;
    const ask = (...headers: string[]) => limiter.admit({ method: 'GET', path: normalizePath('/'), headers });
    expect(ask('x-name', value)).toBeUndefined();
    expect(ask('x-name', value)).toBeDefined();
    expect(ask('x-name', `${value}2`)).toBeUndefined();
    const fault = { name: 'slow', headers: [is('x-name', 'always')], percent: 100, delay: 500 };
    expect(compileFaults([{ policy, faults: [fault] }])!.draw(['x-name', value], () => 0)).toBeUndefined();
  });

  test('are denied where a rule has paths, whichever it is', () => {
    const asked = { method: 'GET', path: normalizePath(`/x/${escape(value)}`) };
    const decide = (action: 'allow' | 'deny', path: ReturnType<typeof prefix>) =>
      compileAccess([{ policy: shopPolicy, rules: [accessRule(action, { to: [{ methods: [], paths: [path] }] })] }], {
        port: 80,
        protocol: 'http',
      }).decide(asked).allowed;
    for (const path of [prefix('/admin'), exact('/ü'), regex('/x/[a-z]+'), prefix('/')]) {
      expect(decide('deny', path)).toBe(false);
      expect(decide('allow', path)).toBe(false);
    }
  });
});
