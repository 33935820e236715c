import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import * as z from 'zod';
import { FindingsError, finding } from '../model/index.ts';
import type { App } from './app.ts';

const folderName = '.meshwright';
const runningFile = 'running.json';

const runningMesh = z.object({
  name: z.string(),
  /** Process id of `meshwright up`. */
  pid: z.int(),
  /** Where requests enter; absent where the mesh has no gateway. */
  gateway: z.string().optional(),
  /** The controller's API. */
  admin: z.string(),
  /** The folder of what the app synthesised. */
  manifests: z.string(),
});

/** What `meshwright up` tells other commands about itself. */
export type RunningMesh = z.infer<typeof runningMesh>;

/** The folder in which one `up` keeps what belongs to it. */
export class StateDirectory {
  readonly root: string;
  /** What the app synthesised. */
  readonly manifests: string;
  /** Pods and EndpointSlices: what a kubelet and the endpoint controller would write. */
  readonly runtime: string;
  readonly controller: string;
  readonly logs: string;
  readonly #app: App;

  constructor(app: App) {
    this.#app = app;
    this.root = join(app.packageRoot, folderName, app.name);
    this.manifests = join(this.root, 'manifests');
    this.runtime = join(this.root, 'runtime');
    this.controller = join(this.root, 'controller');
    this.logs = join(this.root, 'logs');
  }

  /** Private to one pod: bootstrap, token, last good configuration. */
  pod(name: string): string {
    return join(this.root, 'pods', name);
  }

  /** Starts from nothing, unless another `up` is using it. Only logs of the last run remain. */
  claim(): void {
    const running = readRunning(join(this.root, runningFile));
    if (running) {
      throw new FindingsError([
        finding('MW1516', {
          message: `${this.#app.name} is running already, as process ${running.pid}`,
          hint: `use it at ${running.gateway ?? running.admin}, or stop it first: kill ${running.pid}`,
        }),
      ]);
    }
    for (const stale of ['manifests', 'runtime', 'controller', 'pods', 'synth', runningFile]) {
      rmSync(join(this.root, stale), { recursive: true, force: true });
    }
    for (const folder of [this.manifests, this.runtime, this.controller, this.logs]) {
      // Keys and tokens are in there.
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    }
  }

  announce(mesh: Omit<RunningMesh, 'name' | 'pid' | 'manifests'>): void {
    const running: RunningMesh = {
      name: this.#app.name,
      pid: process.pid,
      ...mesh,
      manifests: this.manifests,
    };
    writeFileSync(join(this.root, runningFile), `${JSON.stringify(running, undefined, 2)}\n`);
  }

  withdraw(): void {
    rmSync(join(this.root, runningFile), { force: true });
  }
}

/** The meshes that run for the package around `start`, or any folder above it. */
export function findRunningMeshes(start: string): RunningMesh[] {
  for (let folder = resolve(start); ; folder = dirname(folder)) {
    const states = join(folder, folderName);
    const found = existsSync(states)
      ? readdirSync(states).flatMap((name) => readRunning(join(states, name, runningFile)) ?? [])
      : [];
    if (found.length > 0 || folder === dirname(folder)) return found;
  }
}

function readRunning(path: string): RunningMesh | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const running = runningMesh.parse(JSON.parse(readFileSync(path, 'utf8')));
    return running.pid !== process.pid && isAlive(running.pid) ? running : undefined;
  } catch {
    // Half written by one that was killed.
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
