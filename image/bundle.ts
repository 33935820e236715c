import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { builtinModules, createRequire } from 'node:module';
import { basename, join, relative, resolve } from 'node:path';
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
const koffiAddOn = `build/koffi/linux_${process.arch}/koffi.node`;
const koffiFile = 'koffi.node';

/**
 * The CLI as files that need nothing but Node and an architecture as this machine's: one entry, and chunks that a command
 * loads when it is called, so that the sidecar holds neither Kubernetes client nor schemas.
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
    // Where something is thrown is a line to look at, not a file.
    lineLimit: 160,
    legalComments: 'none',
    sourcemap: 'linked',
    sourcesContent: false,
    metafile: true,
    write: false,
    // CommonJS packages inside call require() for Node's own modules.
    banner: {
      js: `const require=process.getBuiltinModule('module').createRequire(import.meta.url);`,
    },
    plugins: [ownVersionOnly, absentCommands, nativeKoffi, onlyKubeConfig, lazyBuiltins, plainPino, ownHeaders],
    logLevel: 'silent',
  });
  const files = new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]));
  files.set(koffiFile, await readFile(createRequire(import.meta.url).resolve(`koffi/${koffiAddOn}`)));
  return { files, metafile };
}

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

/** `up`, `synth` and `install` start programs from their sources, with packages that the image does not have. */
const absentCommands: Plugin = {
  name: 'absent-commands',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\/(up|synth|install)\.ts$/ }, ({ path, kind, resolveDir }) =>
      kind === 'dynamic-import' && resolveDir === join(root, 'runtime/cli')
        ? { path: basename(path, '.ts'), namespace: 'absent-command' }
        : undefined,
    );
    onLoad({ filter: /^/, namespace: 'absent-command' }, ({ path }) => ({
      contents: `import { absentCommand } from './absent-command.ts'; export const command = absentCommand('${path}');`,
      resolveDir: import.meta.dirname,
    }));
  },
};

/** koffi's loader is 4.5 MB of memory to find the add-on for this machine; in the image there is one, beside the bundle. */
const nativeKoffi: Plugin = {
  name: 'native-koffi',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^koffi$/ }, () => ({ path: 'koffi', namespace: 'native-koffi' }));
    onLoad({ filter: /^/, namespace: 'native-koffi' }, () => ({
      contents: `export default process.getBuiltinModule('module').createRequire(import.meta.url)('./${koffiFile}');`,
    }));
  },
};

/** Of the Kubernetes client only its reader of kubeconfigs is used; the generated API, 5 MB, is not. */
const onlyKubeConfig: Plugin = {
  name: 'only-kube-config',
  setup({ onResolve }) {
    const client = join(root, 'node_modules/@kubernetes/client-node/dist');
    onResolve({ filter: /^@kubernetes\/client-node$/ }, () => ({ path: join(client, 'config.js') }));
    onResolve({ filter: /^\.\.?\/.+\.js$/ }, ({ path, resolveDir }) =>
      resolveDir.startsWith(client) ? { path: join(resolveDir, path), sideEffects: false } : undefined,
    );
  },
};

/**
 * An ES import of one of Node's modules reads all that it exports, and many of those are loaded when they are read:
 * undici by `WebSocket` of node:http, Web Crypto by node:crypto, certificates of public authorities by node:tls. Here a
 * name is read only if something imports it.
 */
const lazyBuiltins: Plugin = {
  name: 'lazy-builtins',
  setup({ onResolve, onLoad }) {
    const modules = new Set(builtinModules);
    onResolve({ filter: /^(node:)?[a-z_0-9/]+$/ }, ({ path, kind, importer }) => {
      const name = path.replace(/^node:/, '');
      if (kind !== 'import-statement' || !modules.has(name)) return undefined;
      // One for each importer, so that none reads what another needs.
      return { path: `${name} of ${relative(root, importer)}`, namespace: 'builtin', pluginData: name };
    });
    onLoad({ filter: /^/, namespace: 'builtin' }, ({ pluginData: path }) => {
      const names = Object.keys(process.getBuiltinModule(path) ?? {}).filter((name) => name !== 'default');
      const exported = (name: string) => `export const ${name} = /* @__PURE__ */ (() => builtin.${name})();`;
      return {
        contents: [
          `const builtin = process.getBuiltinModule('${path}');`,
          'export default builtin;',
          ...names.map(exported),
        ].join('\n'),
      };
    });
  },
};

/** Logs are lines on standard output: that pino can write them from a thread of its own is left out. */
const plainPino: Plugin = {
  name: 'plain-pino',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^worker_threads$/ }, ({ path, resolveDir }) =>
      resolveDir.endsWith('/pino/lib') ? { path, namespace: 'plain-pino' } : undefined,
    );
    onLoad({ filter: /^/, namespace: 'plain-pino' }, () => ({ contents: 'exports.isMainThread = true;' }));
    onLoad({ filter: /\/pino\/lib\/transport\.js$/ }, () => ({ contents: '' }));
  },
};

/** The gRPC library works without undici; see headers.ts. */
const ownHeaders: Plugin = {
  name: 'own-headers',
  setup({ onLoad }) {
    const from = JSON.stringify(join(import.meta.dirname, 'headers.ts'));
    onLoad({ filter: /\/@connectrpc\/.+\.js$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      return source.includes('new Headers')
        ? { contents: `import{HeaderMap as Headers}from${from};${source}` }
        : undefined;
    });
  },
};

/** Writes the bundle into a directory that is emptied first; gives the path of its entry. */
export async function writeBundle(directory: string): Promise<string> {
  const { files } = await bundle();
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  for (const [name, content] of files) await writeFile(join(directory, name), content);
  return join(directory, entry);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { output: { type: 'string', default: 'dist/bundle' } } });
  process.stdout.write(`${await writeBundle(values.output)}\n`);
}
