import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Metafile } from 'esbuild';
import { type Bundle, bundle } from '../../image/bundle.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

/** Packages that are part of a sidecar. Another one is a decision about the memory of every pod: add it here with care. */
const allowed = new Set([
  '@pinojs/redact',
  'atomic-sleep',
  'on-exit-leak-free',
  'pino',
  'pino-std-serializers',
  'quick-format-unescaped',
  'safe-stable-stringify',
  'sonic-boom',
]);
/** Of source, in bytes. */
const budget = 480_000;

let built: Bundle;
beforeAll(async () => {
  built = await bundle();
});

/** What is loaded when these sources are: their outputs and all that those import, but for what waits to be called. */
function loadedBy(...sources: readonly string[]): Metafile['outputs'] {
  const { outputs } = built.metafile;
  const found: Metafile['outputs'] = {};
  const visit = (path: string): void => {
    if (path in found || !outputs[path]) return;
    found[path] = outputs[path];
    for (const { path: imported, kind } of outputs[path].imports) if (kind === 'import-statement') visit(imported);
  };
  for (const source of sources) {
    const entry = Object.keys(outputs).find((path) => outputs[path].entryPoint === source);
    if (!entry) throw new Error(`${source} is no entry of a chunk`);
    visit(entry);
  }
  return found;
}

/** What the process of a pod holds, whose command line has no options. */
const loadedBySidecar = () => loadedBy('runtime/cli/main.ts', 'runtime/cli/serve.ts');

function packages(loaded: Metafile['outputs']): Set<string> {
  const names = Object.values(loaded)
    .flatMap(({ inputs }) => Object.keys(inputs))
    .map((path) => /.*node_modules\/(@[^/]+\/[^/]+|[^/]+)/.exec(path)?.[1]);
  return new Set(names.filter((name) => name !== undefined));
}

describe('the sidecar', () => {
  it('loads no schemas, no Kubernetes client, no server and nothing that people author with', () => {
    const sidecar = loadedBySidecar();
    const rooms = Object.values(sidecar).flatMap(({ inputs }) => Object.keys(inputs));
    expect(rooms.filter((path) => /^runtime\/(resources|translate|controller|kubernetes|local)\//.test(path))).toEqual(
      [],
    );
    expect([...packages(sidecar)].filter((name) => !allowed.has(name))).toEqual([]);
  });

  it('does not touch the global Headers, whose first use loads undici', () => {
    const texts = Object.keys(loadedBySidecar()).map((path) =>
      Buffer.from(built.files.get(basename(path))!).toString(),
    );
    expect(texts.join('').match(/new Headers\b/g)).toBeNull();
  });

  it('has one stack of HTTP/2, which is its own, and loads nothing of Node that it does not use', () => {
    using directory = new TemporaryDirectory();
    for (const [name, content] of built.files) writeFileSync(join(directory.path, name), content);
    const told = 'process.on("exit", () => console.log(process.moduleLoadList.join("\\n")))';
    const flags = ['--import', `data:text/javascript,${told}`];
    // It has no bootstrap document, and ends.
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [...flags, join(directory.path, 'meshwright.js'), 'sidecar'],
      {
        encoding: 'utf8',
        env: {},
      },
    );
    expect(stderr).toContain('there is no bootstrap document');
    const loaded = stdout.split('\n').map((line) => line.replace('NativeModule ', ''));
    expect(loaded).toContain('tls');
    for (const name of [
      'http',
      'https',
      'http2',
      'worker_threads',
      'internal/crypto/webcrypto',
      'internal/fs/streams',
    ]) {
      expect(loaded).not.toContain(name);
    }
    expect(loaded.filter((name) => name.includes('undici'))).toEqual([]);
  });

  it('stays small: each byte of source is a byte of memory in every pod', () => {
    const bytes = Object.values(loadedBySidecar()).reduce((sum, output) => sum + output.bytes, 0);
    expect(bytes).toBeLessThan(budget);
  });
});

it('brings of the Kubernetes client what reads kubeconfigs, and not the generated API', () => {
  const all = Object.keys(built.metafile.inputs).filter((path) => path.includes('@kubernetes/client-node'));
  const used = Object.values(built.metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).filter(([path, { bytesInOutput }]) => all.includes(path) && bytesInOutput > 0),
  );
  expect(used.map(([path]) => path).filter((path) => path.includes('/gen/models/'))).toEqual([]);
  expect(used.some(([path]) => path.endsWith('/config.js'))).toBe(true);
});

it('has a source map for each chunk, and stack traces with the names of the source', () => {
  const scripts = [...built.files.keys()].filter((name) => name.endsWith('.js'));
  for (const name of scripts) expect(built.files.has(`${name}.map`)).toBe(true);
  const text = scripts.map((name) => Buffer.from(built.files.get(name)!).toString()).join('');
  expect(text).toContain('function applySaved(');
});

it('holds no path of the machine that built it', () => {
  for (const [name, content] of built.files) {
    if (!name.endsWith('.node')) expect(Buffer.from(content).includes(process.cwd())).toBe(false);
  }
});
