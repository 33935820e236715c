import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { locateApp, Synthesizer } from '../../runtime/local/index.ts';
import { systemClock } from '../../runtime/model/index.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const prints = (text: string) => `
  import { writeFileSync } from 'node:fs';
  if (import.meta.main) writeFileSync(process.env.CDK8S_OUTDIR + '/out.yaml', ${text});
`;

/** An app in a folder of its own, and what it printed. */
class Given implements Disposable {
  readonly #directory = new TemporaryDirectory();
  readonly path = this.#directory.path;
  output = '';
  readonly #synthesizers: Synthesizer[] = [];

  async write(name: string, text: string): Promise<void> {
    await this.#directory.write(name, text);
  }

  synthesizer(): Synthesizer {
    const synthesizer = new Synthesizer(locateApp(this.path), {
      clock: systemClock,
      onOutput: (text) => {
        this.output += text;
      },
    });
    this.#synthesizers.push(synthesizer);
    return synthesizer;
  }

  get written(): string {
    return readFileSync(join(this.path, 'out.yaml'), 'utf8');
  }

  [Symbol.dispose](): void {
    for (const synthesizer of this.#synthesizers) synthesizer.close();
    this.#directory[Symbol.dispose]();
  }
}

it('runs the app as it is at each call, although the process has been waiting', async () => {
  using given = new Given();
  await given.write('main.ts', `import { value } from './value.ts'; ${prints('value')}`);
  await given.write('value.ts', `export const value: string = 'one';`);
  const synthesizer = given.synthesizer();
  expect(await synthesizer.run(given.path)).toMatchObject({ findings: [] });
  expect(given.written).toBe('one');
  await given.write('value.ts', `export const value: string = 'two';`);
  await synthesizer.run(given.path);
  expect(given.written).toBe('two');
});

it('tells which files of its own the app imports, so that they can be watched', async () => {
  using given = new Given();
  await given.write('main.ts', `import './parts/a.ts'; import 'node:fs'; import 'yaml-that-is-not-ours';`);
  await given.write('parts/a.ts', `export * from '../b.ts';`);
  await given.write('b.ts', 'export {};');
  await given.write('unused.ts', 'export {};');
  await given.write('node_modules/yaml-that-is-not-ours/index.js', '');
  const { sources } = await given.synthesizer().run(given.path);
  expect([...sources].sort()).toEqual(['b.ts', 'main.ts', 'parts/a.ts'].map((name) => join(given.path, name)));
});

it('passes on what a failing app says, and names the app', async () => {
  using given = new Given();
  await given.write('main.ts', `throw new Error('no such service');`);
  const { findings } = await given.synthesizer().run(given.path);
  expect(findings).toMatchObject([{ id: 'MW1514', severity: 'error' }]);
  expect(findings[0].message).toContain(join(given.path, 'main.ts'));
  expect(given.output).toContain('no such service');
});

it('recovers from an app that cannot even be parsed', async () => {
  using given = new Given();
  await given.write('main.ts', 'const = 1;');
  const synthesizer = given.synthesizer();
  expect((await synthesizer.run(given.path)).findings).toHaveLength(1);
  await given.write('main.ts', prints(`'good'`));
  expect((await synthesizer.run(given.path)).findings).toEqual([]);
  expect(given.written).toBe('good');
});

it('takes findings that the app has told itself for a failure', async () => {
  using given = new Given();
  await given.write('main.ts', `console.error('error MW1202: nowhere to go'); process.exitCode = 3;`);
  const { findings } = await given.synthesizer().run(given.path);
  expect(findings[0].message).toContain('has findings');
  expect(given.output).toBe('error MW1202: nowhere to go\n');
  expect(existsSync(join(given.path, 'out.yaml'))).toBe(false);
});
