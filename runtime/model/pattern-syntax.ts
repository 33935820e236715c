/** What a pattern is made of, as far as its cost is concerned. */
export type PatternNode =
  /** One character of a set: bit n stands for the character with code n. HTTP fields hold no others than latin1. */
  | { readonly kind: 'character'; readonly set: bigint }
  | { readonly kind: 'sequence'; readonly items: readonly PatternNode[] }
  | { readonly kind: 'alternatives'; readonly items: readonly PatternNode[] }
  | { readonly kind: 'repeat'; readonly item: PatternNode; readonly min: number; readonly max: number };

export const anyCharacter = characterSet('.');

const atom = /\\(?:[pP]\{[^}]*\}|u\{[^}]*\}|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|c[A-Za-z]|.)|\[(?:\\.|[^\]\\])*\]|./suy;
const quantifier = /([*+?]|\{(\d+)(,?)(\d*)\})\??/y;

/** Reads a pattern that `new RegExp(pattern, 'u')` accepts. */
export function parsePattern(pattern: string): { readonly node: PatternNode } | { readonly problem: string } {
  let position = 0;
  let problem: string | undefined;

  function alternatives(): PatternNode {
    const items = [sequence()];
    while (pattern[position] === '|') {
      position++;
      items.push(sequence());
    }
    return items.length === 1 ? items[0] : { kind: 'alternatives', items };
  }

  function sequence(): PatternNode {
    const items: PatternNode[] = [];
    while (position < pattern.length && pattern[position] !== '|' && pattern[position] !== ')') {
      items.push(repeated(term()));
    }
    return { kind: 'sequence', items };
  }

  function term(): PatternNode {
    if (pattern[position] === '(') return group();
    atom.lastIndex = position;
    const text = atom.exec(pattern)![0];
    position += text.length;
    if (/^\\[1-9k]/.test(text)) problem ??= `the back-reference ${text} is not allowed`;
    if (/^(?:[\^$]|\\[bB]|\\[1-9k])/.test(text)) return { kind: 'sequence', items: [] };
    return { kind: 'character', set: characterSet(text) };
  }

  function group(): PatternNode {
    const opening = /\((?:\?(?::|<[^=!][^>]*>|<?[=!]|[a-z-]+:))?/y;
    opening.lastIndex = position;
    const text = opening.exec(pattern)![0];
    if (/[=!]$/.test(text)) problem ??= `the look-around ${text}…) is not allowed`;
    if (/^\(\?[a-z-]/.test(text)) problem ??= `the flags of ${text}…) are not allowed`;
    position += text.length;
    const node = alternatives();
    position++;
    return node;
  }

  function repeated(item: PatternNode): PatternNode {
    quantifier.lastIndex = position;
    const match = quantifier.exec(pattern);
    if (!match) return item;
    position += match[0].length;
    const [, sign, least, comma, most] = match;
    if (sign === '?') return { kind: 'repeat', item, min: 0, max: 1 };
    if (sign === '*' || sign === '+') return { kind: 'repeat', item, min: sign === '*' ? 0 : 1, max: Infinity };
    const max = most ? Number(most) : comma ? Infinity : Number(least);
    return { kind: 'repeat', item, min: Number(least), max };
  }

  const node = alternatives();
  return problem ? { problem } : { node };
}

/** The set of an atom such as `a`, `\d` or `[^/]`, asked from the engine that will match it. */
function characterSet(source: string): bigint {
  const one = new RegExp(`^${source}$`, 'u');
  let set = 0n;
  for (let code = 0; code < 256; code++) {
    if (one.test(String.fromCharCode(code))) set |= 1n << BigInt(code);
  }
  return set;
}
