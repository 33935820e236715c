import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseAllDocuments, stringify } from 'yaml';
import { type KubernetesObject, parseObject } from '../../runtime/resources/index.ts';
import { translate } from '../../runtime/translate/index.ts';

/*
 * Each cases/<name>.in.yaml translates to cases/<name>.out.yaml. With UPDATE=1 the outputs are written anew; read
 * the diff before committing it.
 */

const directory = join(import.meta.dirname, 'cases');
const update = process.env.UPDATE === '1';

function read(name: string): KubernetesObject[] {
  const text = readFileSync(join(directory, `${name}.in.yaml`), 'utf8');
  return parseAllDocuments(text).map((document, index) => {
    const { object, findings } = parseObject(document.toJS(), `${name}.in.yaml#${index}`);
    if (!object) throw new Error(`${name}: ${JSON.stringify(findings)}`);
    return object;
  });
}

const names = globSync('*.in.yaml', { cwd: directory })
  .map((file) => basename(file, '.in.yaml'))
  .sort();

describe('translate', () => {
  it.each(names)('gives what is written down for %s', (name) => {
    const output = stringify(translate(read(name)), { aliasDuplicateObjects: false, lineWidth: 0 });
    const file = join(directory, `${name}.out.yaml`);
    if (update) writeFileSync(file, output);
    expect(output).toBe(readFileSync(file, 'utf8'));
  });

  it.each(names)('does not depend on the order of the objects of %s', (name) => {
    const objects = read(name);
    const expected = translate(objects);
    fc.assert(
      fc.property(fc.shuffledSubarray(objects, { minLength: objects.length }), (shuffled) => {
        expect(translate(shuffled)).toStrictEqual(expected);
      }),
      { numRuns: 10 },
    );
  });
});
