import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import ts from 'typescript';

const file = new URL('./references.ts', import.meta.url).pathname;
const source = readFileSync(file, 'utf8');
const directive = /^\s*\/\/ @ts-expect-error (.*)$/;

/** The mistakes of references.ts: what each is about, and the lines it spans. */
const mistakes = source.split('\n').flatMap((line, index, lines) => {
  const title = directive.exec(line)?.[1];
  if (!title) return [];
  const rest = lines.slice(index + 1);
  const length = rest.findIndex((next) => directive.test(next) || next === '}');
  return [{ title, from: index + 2, to: index + 1 + length }];
});

/** Compiles references.ts with its directives blanked, so that the compiler says what it sees. */
function errorsByLine(): Map<number, string> {
  const { config } = ts.readConfigFile('tsconfig.json', ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, process.cwd());
  const host = ts.createCompilerHost(options);
  const { getSourceFile } = host;
  host.getSourceFile = (name, ...rest) =>
    name === file
      ? ts.createSourceFile(name, source.replaceAll('@ts-expect-error', 'error:'), ts.ScriptTarget.ES2024)
      : getSourceFile.call(host, name, ...rest);
  const program = ts.createProgram([file], options, host);
  const diagnostics = program.getSemanticDiagnostics(program.getSourceFile(file));
  return new Map(
    diagnostics.map(({ file, start = 0, messageText }) => [
      (file?.getLineAndCharacterOfPosition(start).line ?? 0) + 1,
      ts.flattenDiagnosticMessageText(messageText, '\n'),
    ]),
  );
}

const errors = errorsByLine();

describe('the compiler refuses', () => {
  test.each(mistakes)('$title', ({ from, to }) => {
    const found = [...errors].filter(([line]) => line >= from && line <= to);
    expect(found).not.toHaveLength(0);
  });

  test('nothing that is right', () => {
    const elsewhere = [...errors].filter(([line]) => !mistakes.some(({ from, to }) => line >= from && line <= to));
    expect(elsewhere).toEqual([]);
  });
});

test('an unknown version is refused by naming those there are', () => {
  const version = mistakes.find(({ title }) => title === 'a version that is not there');
  expect(errors.get(version!.from)).toBe(
    `Argument of type '"v3"' is not assignable to parameter of type '"v1" | "v2"'.`,
  );
});
