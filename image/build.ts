import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import packageJson from '../package.json' with { type: 'json' };
import { bundle } from './bundle.ts';
import { applicationLayer, appUser, nftablesLayer, nodeLayer, proxyUser, searchPath } from './layers.ts';
import { type ImageArchive, imageArchive, type Layer } from './oci.ts';
import { environment, nodeFlags } from './process.ts';

const node = '/usr/local/bin/node';

const labels = (title: string) => ({
  'org.opencontainers.image.title': title,
  'org.opencontainers.image.version': packageJson.version,
  'org.opencontainers.image.licenses': packageJson.license,
});

/**
 * The image of sidecar, controller and init container. The arguments are those of the CLI.
 *
 * @param program - the files that {@link bundle} makes
 */
export async function meshImage(
  tag = `meshwright/meshwright:${packageJson.version}`,
  program?: ReadonlyMap<string, Uint8Array>,
): Promise<ImageArchive> {
  const files = program ?? (await bundle()).files;
  const base = nodeLayer();
  const layer: Layer = {
    title: 'meshwright',
    entries: [...files].map(([name, content]) => ({
      type: 'file',
      path: `opt/meshwright/${name}`,
      mode: 0o644,
      content: [content],
    })),
  };
  return imageArchive(
    [base, nftablesLayer(base), layer],
    {
      User: `${proxyUser}:${proxyUser}`,
      Entrypoint: [node, ...nodeFlags, '/opt/meshwright/meshwright.js'],
      Env: [searchPath, ...Object.entries(environment).map(([name, value]) => `${name}=${value}`)],
      Labels: labels('meshwright'),
    },
    tag,
  );
}

/** An image of a program that Node runs from its sources; see {@link applicationLayer}. The arguments are those of Node. */
export function applicationImage(directory: string, tag: string): ImageArchive {
  return imageArchive(
    [nodeLayer(), applicationLayer(directory)],
    {
      User: `${appUser}:${appUser}`,
      Entrypoint: [node],
      WorkingDir: '/app',
      Env: [searchPath, 'NODE_ENV=production'],
      Labels: labels(directory),
    },
    tag,
  );
}

const usage = `Usage: npm run build:image -- [--output <file>] [--tag <name:tag>] [--app <folder>]

Writes an OCI image archive, without a Docker daemon and without a network.
  --output <file>   default: dist/image.tar
  --tag <name:tag>  default: meshwright/meshwright:${packageJson.version}; needed with --app
  --app <folder>    an image of this program instead, on the same base
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      output: { type: 'string', default: 'dist/image.tar' },
      tag: { type: 'string' },
      app: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const { app, tag, output } = values;
  if (app && !tag) throw new Error('--app needs --tag <name:tag>: the name by which your Deployment knows the image');
  const image = app && tag ? applicationImage(app, tag) : await meshImage(tag);
  await mkdir(dirname(output), { recursive: true });
  await writeFile(output, image.chunks);
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const total = image.layers.reduce((sum, { size }) => sum + size, 0);
  process.stdout.write(`${output}  ${image.digest}  ${megabytes(total)}\n`);
  for (const { title, digest, size } of image.layers) {
    process.stdout.write(`  ${megabytes(size).padStart(9)}  ${digest.slice(0, 19)}  ${title}\n`);
  }
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    process.exitCode = 1;
  }
}
