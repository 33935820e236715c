import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build, type Metafile, type Plugin } from 'esbuild';

export interface Bundle {
  /** By name: the entry `meshwright.js`, its chunks, their source maps, native add-ons. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** What esbuild tells of the outputs and what is in them. */
  readonly metafile: Metafile;
}

const root = resolve(import.meta.dirname, '..');
const entry = 'meshwright.js';
const architectures = ['x64', 'arm64'] as const;

/**
 * The CLI as files that need nothing but Node: one entry, and chunks that a command loads when it is called, so that the
 * sidecar holds neither Kubernetes client nor schemas.
 *
 * Identifiers are kept, for stack traces; source maps lie beside the code, read with `--enable-source-maps` only.
 */
export async function bundle(): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: { meshwright: 'runtime/cli/main.ts' },
    outdir: 'dist/bundle',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    sourcemap: 'linked',
    sourcesContent: false,
    metafile: true,
    write: false,
    // CommonJS packages inside call require() for Node's own modules.
    banner: {
      js: `import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);`,
    },
    plugins: [ownVersionOnly, commandsWithSources, nativeKoffi],
    logLevel: 'silent',
  });
  const files = new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]));
  for (const arch of architectures) {
    const addOn = createRequire(import.meta.url).resolve(`koffi/build/koffi/linux_${arch}/koffi.node`);
    files.set(koffiFile(arch), await readFile(addOn));
  }
  return { files, metafile };
}

const koffiFile = (arch: string) => `koffi-linux-${arch}.node`;

/** Of package.json only what the program reads. */
const ownVersionOnly: Plugin = {
  name: 'own-version-only',
  setup({ onLoad }) {
    onLoad({ filter: /^/, namespace: 'file' }, async ({ path }) => {
      if (path !== join(root, 'package.json')) return undefined;
      const { version } = JSON.parse(await readFile(path, 'utf8')) as { version: string };
      return { contents: JSON.stringify({ version }), loader: 'json' };
    });
  },
};

/** `up` and `synth` start programs from their sources, with packages that the image does not have. */
const commandsWithSources: Plugin = {
  name: 'commands-with-sources',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/(up|synth)\.ts$/ }, ({ path, kind, resolveDir }) =>
      kind === 'dynamic-import' && resolveDir === join(root, 'runtime/cli')
        ? { path: join(root, 'image/absent-command.ts'), suffix: `?${basename(path, '.ts')}` }
        : undefined,
    );
  },
};

/** koffi searches many places for its add-on; in the image there is one, beside the bundle. */
const nativeKoffi: Plugin = {
  name: 'native-koffi',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^koffi$/ }, () => ({ path: 'koffi', namespace: 'native-koffi' }));
    onLoad({ filter: /^/, namespace: 'native-koffi' }, () => ({
      contents: `import { createRequire } from 'node:module';
const koffi = createRequire(import.meta.url)(\`./${koffiFile('$' + '{process.arch}')}\`);
export default koffi;`,
    }));
  },
};

if (import.meta.main) {
  const { values } = parseArgs({ options: { output: { type: 'string', default: 'dist/bundle' } } });
  const { files } = await bundle();
  await rm(values.output, { recursive: true, force: true });
  await mkdir(values.output, { recursive: true });
  for (const [name, content] of files) await writeFile(join(values.output, name), content);
  process.stdout.write(`${join(values.output, entry)}\n`);
}
