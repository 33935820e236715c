import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const { version, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  version: string;
  devDependencies: { node: string };
};
const temporary = new TemporaryDirectory();
afterAll(() => temporary[Symbol.dispose]());

interface Descriptor {
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An image archive, unpacked: what a container runtime sees. */
class Unpacked {
  readonly directory: string;
  readonly output: string;

  constructor(name: string, ...args: readonly string[]) {
    const archive = join(temporary.path, `${name}.tar`);
    this.output = execFileSync(process.execPath, ['image/build.ts', '--output', archive, ...args], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
    this.directory = join(temporary.path, name);
    execFileSync('mkdir', [this.directory]);
    execFileSync('tar', ['-xf', archive, '-C', this.directory]);
  }

  blob({ digest }: Pick<Descriptor, 'digest'>): string {
    return join(this.directory, 'blobs', digest.replace(':', '/'));
  }

  read<T>(descriptor: Descriptor): T {
    return JSON.parse(readFileSync(this.blob(descriptor), 'utf8'));
  }

  get index(): { manifests: Descriptor[] } {
    return JSON.parse(readFileSync(join(this.directory, 'index.json'), 'utf8'));
  }

  get manifest(): { config: Descriptor; layers: Descriptor[] } {
    return this.read(this.index.manifests[0]);
  }

  get config(): { config: Record<string, unknown>; rootfs: { diff_ids: string[] } } {
    return this.read(this.manifest.config);
  }

  /** The image's root file system, as tar lists it: modes and owners by path. */
  files(): Map<string, { readonly mode: string; readonly owner: string }> {
    const lines = this.manifest.layers.flatMap((layer) =>
      execFileSync('tar', ['--numeric-owner', '-tvf', this.blob(layer)], { encoding: 'utf8' })
        .trim()
        .split('\n'),
    );
    return new Map(
      lines.map((line) => {
        const [mode, owner] = line.split(/\s+/);
        return [line.slice(line.search(/\S+$/)), { mode, owner }];
      }),
    );
  }

  /** The root file system on disk. */
  mount(): string {
    const root = join(this.directory, 'root');
    execFileSync('mkdir', [root]);
    for (const layer of this.manifest.layers) execFileSync('tar', ['-xf', this.blob(layer), '-C', root]);
    return root;
  }
}

let mesh: Unpacked;
let shop: Unpacked;
beforeAll(() => {
  mesh = new Unpacked('mesh');
  shop = new Unpacked('shop', '--app', 'examples/shop', '--tag', 'meshwright/example-shop:0.1.0');
});

describe('the image of the mesh', () => {
  it('is the same, byte for byte, when it is built again', () => {
    const again = new Unpacked('again');
    expect(again.index).toEqual(mesh.index);
    const archive = (name: string) =>
      createHash('sha256')
        .update(readFileSync(join(temporary.path, name)))
        .digest('hex');
    expect(archive('again.tar')).toBe(archive('mesh.tar'));
  });

  it('names each blob by its content and tells its size', () => {
    const { config, layers } = mesh.manifest;
    for (const descriptor of [...mesh.index.manifests, config, ...layers]) {
      const content = readFileSync(mesh.blob(descriptor));
      expect(`sha256:${createHash('sha256').update(content).digest('hex')}`).toBe(descriptor.digest);
      expect(content.byteLength).toBe(descriptor.size);
    }
    expect(mesh.config.rootfs.diff_ids).toEqual(layers.map(({ digest }) => digest));
  });

  it('has the name by which container runtimes know it', () => {
    expect(mesh.index.manifests[0].annotations).toEqual({
      'io.containerd.image.name': `docker.io/meshwright/meshwright:${version}`,
      'org.opencontainers.image.ref.name': version,
    });
  });

  it('can be read by a Docker that knows nothing of OCI layouts', () => {
    const [{ Config, RepoTags, Layers }] = JSON.parse(readFileSync(join(mesh.directory, 'manifest.json'), 'utf8'));
    expect(RepoTags).toEqual([`meshwright/meshwright:${version}`]);
    for (const path of [Config, ...Layers]) expect(existsSync(join(mesh.directory, path))).toBe(true);
  });

  it('starts the CLI, not as root', () => {
    expect(mesh.config.config).toMatchObject({
      User: '1337:1337',
      Entrypoint: ['/usr/local/bin/node', '--no-maglev', '--expose-gc', '/opt/meshwright/meshwright.js'],
    });
  });

  it('has Node, nft and the mesh, no shell, and nothing that its user may change', () => {
    const files = mesh.files();
    const executables = [...files.keys()].filter((path) => path.includes('bin/') && !path.endsWith('/'));
    expect(executables.sort()).toEqual(['usr/local/bin/node', 'usr/sbin/nft']);
    expect(files.has('opt/meshwright/meshwright.js')).toBe(true);
    const writable = [...files].filter(([, { mode, owner }]) => mode[8] === 'w' || owner !== '0/0');
    expect(writable.map(([path, { mode }]) => [path, mode])).toEqual([['tmp/', 'drwxrwxrwt']]);
  });

  it('needs nothing but itself to run', () => {
    const root = mesh.mount();
    const inside = (...command: readonly string[]) =>
      execFileSync('unshare', ['--map-root-user', '--root', root, ...command], {
        encoding: 'utf8',
        stdio: 'pipe',
        env: {},
      });
    const cli = (...args: readonly string[]) => inside('/usr/local/bin/node', '/opt/meshwright/meshwright.js', ...args);
    expect(cli('--version').trim()).toBe(version);
    expect(inside('/usr/sbin/nft', '--version')).toMatch(/^nftables v/);
    expect(inside('/usr/local/bin/node', '-e', loadKoffi)).toBe('0');
    expect(() => cli('synth', 'examples/shop')).toThrow('meshwright synth needs the sources of a mesh');
  });

  it('starts as the one of the Dockerfile does, on the same Node', () => {
    const dockerfile = readFileSync('image/Dockerfile', 'utf8').replaceAll('\\\n', ' ');
    const values = (instruction: string) =>
      [...dockerfile.matchAll(new RegExp(`^${instruction} (.*)$`, 'gm'))].map(([, value]) => value);
    const { User, Entrypoint, Env, Labels } = mesh.config.config;
    expect(values('USER')).toEqual([User]);
    expect(values('ENTRYPOINT').map((list) => JSON.parse(list))).toEqual([Entrypoint]);
    expect(values('ENV')).toEqual((Env as string[]).filter((variable) => !variable.startsWith('PATH=')));
    expect(
      Object.fromEntries([...values('LABEL')[0].matchAll(/(\S+)="(.*?)"/g)].map(([, name, value]) => [name, value])),
    ).toEqual(Labels);
    for (const base of values('FROM')) expect(base).toContain(`node:${devDependencies.node}-bookworm-slim`);
    expect(values('COPY')).toContain('--from=bundle /opt/meshwright /opt/meshwright');
  });

  it('is told in one line a layer', () => {
    const lines = mesh.output.trim().split('\n');
    expect(lines[0]).toContain(mesh.index.manifests[0].digest);
    expect(lines.slice(1).map((line) => line.trim().split(/\s{2,}/)[2])).toEqual([
      expect.stringMatching(/^Node v24\./),
      'nftables',
      'meshwright',
    ]);
  });
});

/** Asks the C library through the add-on beside the bundle. */
const loadKoffi = `
const koffi = require('/opt/meshwright/koffi.node');
process.stdout.write(String(koffi.load(null).func('int abs(int)')(0)));
`;

describe('the image of an application', () => {
  it('has the program at the path at which it lies in its project', () => {
    const program = [...shop.files().keys()].filter((path) => path.startsWith('app/') && !path.endsWith('/'));
    const services = readdirSync('examples/shop/services').map((name) => `app/examples/shop/services/${name}`);
    expect(program.sort()).toEqual(['app/examples/shop/main.ts', ...services, 'app/package.json'].sort());
    expect(shop.config.config).toMatchObject({ WorkingDir: '/app', User: '1000:1000' });
  });

  it('shares the layer with Node with the image of the mesh', () => {
    expect(shop.manifest.layers[0]).toEqual(mesh.manifest.layers[0]);
    expect(statSync(shop.blob(shop.manifest.layers[0])).size).toBeGreaterThan(100e6);
  });

  it('needs a name', () => {
    expect(() => new Unpacked('nameless', '--app', 'examples/shop')).toThrow('--app needs --tag <name:tag>');
  });
});

it('refuses a name that no registry takes', () => {
  expect(() => new Unpacked('odd', '--tag', 'Mesh Wright')).toThrow('not the name of an image: "Mesh Wright"');
});
