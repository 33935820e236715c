import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Workspace } from './host/workspace.ts';

/** The `sidecar` command alone, called as the whole program is: `node program sidecar --config …`. */
const entry = `import { command } from './runtime/cli/sidecar.ts';
await command.parseAsync(process.argv.slice(3), { from: 'user' });`;

/** Bundles what a sidecar needs into one file of the working directory; gives its path. */
export async function bundleSidecar(workspace: Workspace): Promise<string> {
  const outfile = workspace.path('sidecar.mjs');
  await build({
    stdin: { contents: entry, resolveDir: fileURLToPath(new URL('..', import.meta.url)) },
    outfile,
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // CommonJS dependencies call `require`, which an ES module does not have.
    banner: {
      js: "import { createRequire as $require } from 'node:module'; const require = $require(import.meta.url);",
    },
    // Native, and only for connections that are redirected; the measured ones are not.
    external: ['koffi'],
    logLevel: 'silent',
  });
  return outfile;
}
