import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { defaultSettings, type InjectionRequest, injectPod, type RawPod } from '../../runtime/injection/index.ts';

/*
 * Each cases/<name>.in.yaml becomes cases/<name>.out.yaml. With UPDATE=1 the outputs are written anew; read the diff
 * before committing it.
 */

interface Case {
  readonly pod: RawPod;
  readonly request: Partial<InjectionRequest>;
}

const directory = join(import.meta.dirname, 'cases');
const update = process.env.UPDATE === '1';
const names = globSync('*.in.yaml', { cwd: directory })
  .map((file) => basename(file, '.in.yaml'))
  .sort();

describe('injection', () => {
  it.each(names)('does what is written down with %s', (name) => {
    const { pod, request }: Case = parse(readFileSync(join(directory, `${name}.in.yaml`), 'utf8'));
    const injection = injectPod(pod, { settings: defaultSettings, ...request });
    const output = stringify(injection, { aliasDuplicateObjects: false, lineWidth: 0 });
    const file = join(directory, `${name}.out.yaml`);
    if (update) writeFileSync(file, output);
    expect(output).toBe(readFileSync(file, 'utf8'));
  });
});
