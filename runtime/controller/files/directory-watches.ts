import { type FSWatcher, watch } from 'node:fs';

interface Watched {
  readonly inode: bigint;
  readonly watcher: FSWatcher;
}

/**
 * Watches directories, each by itself: recursive watching misses on Linux what is written into a new directory at
 * once. May call back too often and, on some file systems, never, so scan now and then as well.
 */
export class DirectoryWatches {
  readonly #onEvent: () => void;
  readonly #watched = new Map<string, Watched>();

  constructor(onEvent: () => void) {
    this.#onEvent = onEvent;
  }

  /** Watches exactly these from now on. Tells whether any is new: what it holds may have changed unseen. */
  update(directories: ReadonlyMap<string, bigint>): boolean {
    for (const [path, { inode, watcher }] of this.#watched) {
      if (directories.get(path) === inode) continue;
      watcher.close();
      this.#watched.delete(path);
    }
    let isNew = false;
    for (const [path, inode] of directories) {
      if (!this.#watched.has(path) && this.#watch(path, inode)) isNew = true;
    }
    return isNew;
  }

  close(): void {
    this.update(new Map());
  }

  #watch(path: string, inode: bigint): boolean {
    try {
      const watcher = watch(path, { persistent: false }, this.#onEvent);
      watcher.on('error', () => {
        watcher.close();
        if (this.#watched.get(path)?.watcher === watcher) this.#watched.delete(path);
      });
      this.#watched.set(path, { inode, watcher });
      return true;
    } catch {
      // Gone already, or no watches left: the slow scan has to do.
      return false;
    }
  }
}
