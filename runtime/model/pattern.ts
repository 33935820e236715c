import { findAmbiguity } from './pattern-ambiguity.ts';
import { parsePattern } from './pattern-syntax.ts';

const maxLength = 512;

/**
 * Says why a regular expression is refused, or `undefined` when it is fine. Refused is what a backtracking matcher
 * could be made to work on for long by a chosen text: back-references, look-around, loops that can read the same
 * text in more than one way, and more than two repetitions in a row that compete for the same text.
 */
export function checkPattern(pattern: string): string | undefined {
  if (pattern.length > maxLength) return `it is ${pattern.length} characters long; at most ${maxLength} are allowed`;
  try {
    new RegExp(pattern, 'u');
  } catch (error) {
    return (error as Error).message;
  }
  const parsed = parsePattern(pattern);
  return 'problem' in parsed ? parsed.problem : findAmbiguity(parsed.node);
}

/** Compiles a pattern that must match the whole text. Throws where {@link checkPattern} refuses. */
export function compilePattern(pattern: string): RegExp {
  const problem = checkPattern(pattern);
  if (problem) throw new Error(`the pattern ${JSON.stringify(pattern)} is refused: ${problem}`);
  return new RegExp(`^(?:${pattern})$`, 'u');
}
