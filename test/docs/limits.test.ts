import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { renderLimits } from '../../docs/generate/limits.ts';

test('docs/limits.md is up to date; if not: npm run docs:limits', () => {
  expect(readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8')).toBe(renderLimits());
});
