import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import type { Layer } from './oci.ts';
import type { TarEntry } from './tar.ts';

/** The user of the mesh's own containers: what it sends is not redirected. */
export const proxyUser = 1337;
/** The user of applications: anyone but {@link proxyUser}, whose connections would pass by the proxy. */
export const appUser = 1000;

export const searchPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const file = (path: string, content: Uint8Array | string, mode = 0o644): TarEntry => ({
  type: 'file',
  path,
  mode,
  content: [typeof content === 'string' ? Buffer.from(content) : content],
});

/**
 * Node and what it needs to run: the shared libraries of this machine, names of users, where to resolve hosts.
 * No shell, no package manager. Certificates of public authorities are in Node itself.
 *
 * @param node the executable; default: that of the npm package `node`, which package.json pins.
 */
export function nodeLayer(node = createRequire(import.meta.url).resolve('node/bin/node')): Layer {
  return {
    title: `Node ${execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()}`,
    entries: [
      file('usr/local/bin/node', readFileSync(node), 0o755),
      ...sharedLibraries(node),
      file(
        'etc/passwd',
        `root:x:0:0:root:/:/nonexistent\nnode:x:${appUser}:${appUser}::/:/nonexistent\nmeshwright:x:${proxyUser}:${proxyUser}::/:/nonexistent\n`,
      ),
      file('etc/group', `root:x:0:\nnode:x:${appUser}:\nmeshwright:x:${proxyUser}:\n`),
      file('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n'),
      { type: 'directory', path: 'tmp', mode: 0o1777 },
    ],
  };
}

/**
 * `nft`, with which the init container redirects a pod's connections.
 *
 * @param without a layer below this one: what it has is not repeated.
 * @throws Error where this machine has no nft.
 */
export function nftablesLayer(without: Layer): Layer {
  const nft = ['/usr/sbin/nft', '/sbin/nft', '/usr/bin/nft'].find((path) => existsSync(path));
  if (!nft) {
    throw new Error('nft is not on this machine (looked in /usr/sbin, /sbin, /usr/bin): apt-get install nftables');
  }
  const below = new Set(without.entries.map(({ path }) => path));
  return {
    title: 'nftables',
    entries: [
      file('usr/sbin/nft', readFileSync(nft), 0o755),
      ...sharedLibraries(nft).filter(({ path }) => !below.has(path)),
    ],
  };
}

/** The shared libraries of an executable and the dynamic loader, under the paths where the loader finds them. */
function sharedLibraries(executable: string): readonly TarEntry[] {
  let listing: string;
  try {
    listing = execFileSync('ldd', [executable], { encoding: 'utf8' });
  } catch (error) {
    throw new Error(`ldd ${executable} failed (Linux with glibc is needed, Debian package libc-bin): ${error}`);
  }
  const paths = [...listing.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)].map(([, path]) => path);
  if (listing.includes('not found') || paths.length === 0) {
    throw new Error(`${executable} lacks shared libraries on this machine:\n${listing}`);
  }
  return paths.map((path) => file(path.slice(1), readFileSync(path), 0o755));
}

/** Files under a folder of the image. Executable is what has the bit set for its owner. */
function directoryEntries(directory: string, target: string, excluded: ReadonlySet<string>): TarEntry[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((one): TarEntry[] => {
    const path = join(directory, one.name);
    if (excluded.has(one.name)) return [];
    if (one.isDirectory()) return directoryEntries(path, `${target}/${one.name}`, excluded);
    return one.isFile() ? [file(`${target}/${one.name}`, readFileSync(path), executable(path) ? 0o755 : 0o644)] : [];
  });
}

function executable(path: string): boolean {
  return (statSync(path).mode & 0o100) !== 0;
}

const notSources = new Set(['node_modules', 'dist', 'cdk8s.out', '.git', '.meshwright']);

/**
 * A program in TypeScript or JavaScript, which Node runs as it is: the directory's files under /app, at the same path
 * below it as they have below the folder with the package.json. A command that works in that folder works in the image.
 */
export function applicationLayer(directory: string): Layer {
  const root = packageRoot(resolve(directory));
  const path = relative(root, resolve(directory));
  return {
    title: path || '.',
    entries: [
      file('app/package.json', readFileSync(join(root, 'package.json'))),
      ...directoryEntries(resolve(directory), path ? `app/${path}` : 'app', notSources),
    ],
  };
}

function packageRoot(directory: string): string {
  for (let folder = directory; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (folder === dirname(folder)) throw new Error(`no package.json in "${directory}" or a folder above it`);
  }
}
