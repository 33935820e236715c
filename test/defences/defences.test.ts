import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { defences, root } from './defences.ts';

it.each(defences)('the defence against $attack is where `npm run test:defences` looks for it', (each) => {
  const source = readFileSync(join(root, each.file), 'utf8');
  expect(source).toContain(each.defence);
  expect(source.replace(each.defence, each.instead)).not.toBe(source);
  expect(each.tests.filter((file) => !existsSync(join(root, file)))).toEqual([]);
});

it('each attack stands there once', () => {
  expect(new Set(defences.map(({ attack }) => attack)).size).toBe(defences.length);
});
