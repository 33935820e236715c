import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Svid } from '../identity/index.ts';
import type { Resource } from '../model/index.ts';

/**
 * What a sidecar keeps on its own disk, so that a restart works while the controller is away: the last good
 * configuration and its certificate (docs/adr/0001). Files are readable by the owner only and replaced atomically.
 */
export class StateDirectory {
  #path: string;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  async open(): Promise<void> {
    await mkdir(this.#path, { recursive: true, mode: 0o700 });
  }

  saveResources(resources: readonly Resource[]): Promise<void> {
    return this.#save('resources.json', resources);
  }

  /** The last good configuration; empty when there is none or it cannot be read. */
  async loadResources(): Promise<readonly Resource[]> {
    const value = await this.#load('resources.json');
    return Array.isArray(value) ? (value as Resource[]) : [];
  }

  saveSvid(svid: Svid): Promise<void> {
    return this.#save('svid.json', svid);
  }

  /** The last certificate, if it is still valid at `now` (wall-clock milliseconds). */
  async loadSvid(now: number): Promise<Svid | undefined> {
    const value = (await this.#load('svid.json')) as Svid | undefined;
    return value && typeof value.notAfter === 'number' && value.notAfter > now ? value : undefined;
  }

  /** Resolves when everything given so far is on disk. */
  flush(): Promise<void> {
    return this.#writing;
  }

  #save(name: string, value: unknown): Promise<void> {
    const text = JSON.stringify(value);
    const write = async (): Promise<void> => {
      const path = join(this.#path, name);
      await writeFile(`${path}.new`, text, { mode: 0o600 });
      await rename(`${path}.new`, path);
    };
    this.#writing = this.#writing.then(write, write);
    return this.#writing;
  }

  async #load(name: string): Promise<unknown> {
    try {
      return JSON.parse(await readFile(join(this.#path, name), 'utf8'));
    } catch {
      return undefined;
    }
  }
}
