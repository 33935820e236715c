import { existsSync, globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import ts from 'typescript';

/** A block of TypeScript on a page, compiled as if it were a file beside examples/shop/main.ts. */
interface Snippet {
  readonly file: string;
  /** The page and the line of its first block. */
  readonly place: string;
  readonly text: string;
}

const root = process.cwd();
const block = /^```ts\n(.*?)^```$/gms;

/** A block without imports goes on where the one before it on the page ended. */
function snippetsOf(page: string): Snippet[] {
  const source = readFileSync(page, 'utf8');
  const snippets: Snippet[] = [];
  for (const { 1: text, index } of source.matchAll(block)) {
    const before = snippets.at(-1);
    if (before && !/^import /m.test(text)) {
      snippets[snippets.length - 1] = { ...before, text: before.text + text };
    } else {
      const line = source.slice(0, index).split('\n').length;
      const file = resolve(root, 'examples/shop', `${page.replaceAll(/\W/g, '-')}-${line}.ts`);
      snippets.push({ file, place: `${page}:${line}`, text });
    }
  }
  return snippets;
}

/** What the compiler says, by file. One program for all: the libraries are read once. */
function compile(files: ReadonlyMap<string, string>): Map<string, string[]> {
  const { config } = ts.readConfigFile('tsconfig.json', ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, root);
  const host = ts.createCompilerHost({ ...options, noUnusedLocals: false });
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => files.has(name) || fileExists.call(host, name);
  host.readFile = (name) => files.get(name) ?? readFile.call(host, name);
  host.getSourceFile = (name, ...rest) => {
    const text = files.get(name);
    return text === undefined
      ? getSourceFile.call(host, name, ...rest)
      : ts.createSourceFile(name, text, {
          languageVersion: ts.ScriptTarget.ES2024,
          impliedNodeFormat: ts.ModuleKind.ESNext,
        });
  };
  const program = ts.createProgram([...files.keys()], { ...options, noUnusedLocals: false }, host);
  return new Map(
    [...files.keys()].map((name) => {
      const file = program.getSourceFile(name);
      const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
      return [name, found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))];
    }),
  );
}

const snippets = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md')].toSorted().flatMap(snippetsOf);
const complaints = compile(new Map(snippets.map(({ file, text }) => [file, text])));

test.each(snippets)('$place compiles', ({ file }) => {
  expect(complaints.get(file)).toEqual([]);
});

/** Targets of relative links, without what follows a `#`. */
function linksOf(page: string): string[] {
  const links = readFileSync(page, 'utf8').matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g);
  return [...links].map(([, link]) => link);
}

test.each(['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...globSync('docs/**/*.md')].toSorted())(
  '%s links to what is there',
  (page) => {
    const folder = resolve(root, page, '..');
    expect(linksOf(page).filter((link) => !existsSync(resolve(folder, link)))).toEqual([]);
  },
);
