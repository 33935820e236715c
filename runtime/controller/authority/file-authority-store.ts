import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type AuthorityFiles, isOwnRoot } from '../../identity/authority.ts';
import { readBounded } from '../files/read-file.ts';
import type { AuthorityStore, StoredAuthority } from './authority-store.ts';
import { type AuthorityTexts, formatTexts, parseTexts, unreadable } from './authority-texts.ts';

/** Files of ours are far smaller. */
const maxBytes = 256 << 10;
const names: AuthorityTexts = {
  certificate: 'ca.crt',
  key: 'ca.key',
  roots: 'roots.crt',
  rotation: 'rotation.json',
};

/**
 * Keeps the authority in `directory/<trust domain>/`, for one controller at a time. The directory is changed as a
 * whole; its files are for our user only.
 */
export class FileAuthorityStore implements AuthorityStore {
  readonly source: string;
  readonly #home: string;
  /** Where the next content waits, complete, while it takes the place of the last. */
  readonly #next: string;
  readonly #directory: string;

  constructor(options: { readonly directory: string; readonly trustDomain: string }) {
    const { directory, trustDomain } = options;
    this.#directory = directory;
    this.#home = join(directory, trustDomain);
    this.#next = join(directory, `.${trustDomain}.next`);
    this.source = this.#home;
  }

  async read(): Promise<StoredAuthority | undefined> {
    let texts = await this.#texts();
    if (!texts && (await renamed(this.#next, this.#home))) texts = await this.#texts();
    if (!texts) return undefined;
    const files = parseTexts(texts, { names, source: this.source });
    const version = createHash('sha256').update(JSON.stringify(texts)).digest('hex');
    return { files, managed: isOwnRoot(files.certificatePem), rotationRequested: false, version };
  }

  async create(files: AuthorityFiles): Promise<boolean> {
    const draft = await this.#draft(files);
    const first = await renamed(draft, this.#home);
    if (!first) await rm(draft, { recursive: true });
    return first;
  }

  async replace(files: AuthorityFiles, previous: StoredAuthority): Promise<boolean> {
    if ((await this.read())?.version !== previous.version) return false;
    const draft = await this.#draft(files);
    await rm(this.#next, { recursive: true, force: true });
    await rename(draft, this.#next);
    // From here on it is the next content that counts, wherever this ends: see read().
    const last = await mkdtemp(join(this.#directory, '.last-'));
    await rename(this.#home, last);
    await rename(this.#next, this.#home);
    await rm(last, { recursive: true });
    return true;
  }

  async #texts(): Promise<Partial<AuthorityTexts> | undefined> {
    const read = Object.entries(names).map(async ([name, file]) => [name, await readIfThere(join(this.#home, file))]);
    const found = (await Promise.all(read)).filter(([, text]) => text !== undefined);
    return found.length > 0 ? Object.fromEntries(found) : undefined;
  }

  /** A directory with the files, all on disk. */
  async #draft(files: AuthorityFiles): Promise<string> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const draft = await mkdtemp(join(this.#directory, '.draft-'));
    for (const [name, text] of Object.entries(formatTexts(files)) as [keyof AuthorityTexts, string][]) {
      const file = await open(join(draft, names[name]), 'wx', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
    }
    return draft;
  }
}

/** Gives a directory its name; `false` where there is none, or the name is taken by one with files. */
async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(code)) throw error;
    return false;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    const text = await readBounded(path, maxBytes);
    if (text === undefined) throw unreadable(path, `it has more than ${maxBytes} bytes`, 'put back what was there');
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
