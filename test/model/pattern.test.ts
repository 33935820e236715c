import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { checkPattern, compilePattern } from '../../runtime/model/index.ts';

describe('a pattern is accepted', () => {
  test.each([
    '/a/.*',
    '/.*/.*',
    '/api(/[^/]+)*',
    '/users/[^/]+/posts/[^/]+/comments/[^/]+/[^/]+',
    '.*foo.*bar.*',
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*',
    '(\\d{1,3}\\.){3}\\d{1,3}',
    '(?:https?|wss?)://(?<host>[^/]+)/.*',
    '.*\\.(png|jpe?g)',
    '[\\]/]+|\\u{1F600}+|\\p{L}\\x20*',
    '^exact$',
  ])('%s', (pattern) => {
    expect(checkPattern(pattern)).toBeUndefined();
  });
});

describe('a pattern is refused', () => {
  test.each([
    ['(', 'Unterminated group'],
    ['a)|(b', 'Unmatched'],
    ['(a)\\1', 'back-reference'],
    ['(?<x>a)\\k<x>', 'back-reference'],
    ['(?=a).*', 'look-around'],
    ['(?<!a)b', 'look-around'],
    ['(?i:a)', 'flags'],
    ['(a*)*', 'may be empty'],
    ['(a?){30}', 'may be empty'],
    ['(a+)+', 'more than one way'],
    ['(a|a)*', 'more than one way'],
    ['(a|ab|b)*', 'more than one way'],
    ['(.*a){9}', 'more than one way'],
    ['([a-z]+|[0-9a-f]+)*x', 'more than one way'],
    ['.*a.*b.*c', '3 repetitions can compete'],
    ['a?'.repeat(20), 'choices in a row'],
    ['(a|ab)(c|bc)'.repeat(8), 'choices in a row'],
    ['a'.repeat(513), '513 characters'],
    [`(${'a|'.repeat(26)}.)*`.repeat(8), 'too large'],
  ])('%s', (pattern, reason) => {
    expect(checkPattern(pattern)).toContain(reason);
  });
});

test('a compiled pattern must match the whole text, whatever its alternatives', () => {
  const regex = compilePattern('/a|/b');
  expect([regex.test('/a'), regex.test('/b'), regex.test('/ab'), regex.test('x/b')]).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test('a refused pattern cannot be compiled', () => {
  expect(() => compilePattern('(a+)+')).toThrow('the pattern "(a+)+" is refused');
});

const { pattern } = fc.letrec<{ pattern: string; term: string }>((tie) => ({
  pattern: fc.oneof(
    { maxDepth: 4 },
    tie('term'),
    fc.array(tie('term'), { minLength: 1, maxLength: 5 }).map((terms) => terms.join('')),
    fc.tuple(tie('pattern'), tie('pattern')).map(([left, right]) => `${left}|${right}`),
  ),
  term: fc
    .tuple(
      fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom('a', 'b', '.', '[ab]', '[^a]'),
        tie('pattern').map((inner) => `(${inner})`),
      ),
      fc.constantFrom('', '', '*', '+', '?', '{2,9}', '{3}'),
    )
    .map(([atom, quantifier]) => atom + quantifier),
}));

test('no accepted pattern can be kept busy', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 4 }).map((word) => `${word.repeat(60)}\n`);
  fc.assert(
    fc.property(pattern, text, (source, subject) => {
      fc.pre(checkPattern(source) === undefined);
      const started = performance.now();
      compilePattern(source).test(subject);
      expect(performance.now() - started).toBeLessThan(500);
    }),
    { numRuns: 1000 },
  );
});
