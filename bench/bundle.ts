import { build } from 'esbuild';
import type { Workspace } from './host/workspace.ts';
import { sourceProgram } from './pairs/meshwright.ts';

/** Bundles the program into the working directory: each command loads only its own chunks. Gives its path. */
export async function bundleProgram(workspace: Workspace): Promise<string> {
  const outdir = workspace.path('bundle');
  await build({
    entryPoints: { main: sourceProgram },
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    minify: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // CommonJS dependencies call `require`, which an ES module does not have.
    banner: {
      js: "import { createRequire as $require } from 'node:module'; const require = $require(import.meta.url);",
    },
    logLevel: 'silent',
  });
  return `${outdir}/main.mjs`;
}
