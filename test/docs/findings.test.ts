import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { renderFindings } from '../../docs/generate/findings.ts';

test('docs/findings.md is up to date; if not: npm run docs:findings', () => {
  expect(readFileSync(new URL('../../docs/findings.md', import.meta.url), 'utf8')).toBe(renderFindings());
});
