import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Clock, Timer } from '../model/index.ts';

/** Editors write in several steps. */
const settleTime = 30;

/**
 * Watches files by their folders, since editors replace a file rather than write into it. `onChange` comes once for a
 * burst of changes.
 */
export class SourceWatch {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #folders = new Map<string, { readonly watcher: FSWatcher; readonly names: Set<string> }>();
  #pending: Timer | undefined;

  constructor(clock: Clock, onChange: () => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Watches these files, too. */
  add(files: readonly string[]): void {
    for (const file of files) this.#namesIn(dirname(file)).add(basename(file));
  }

  close(): void {
    this.#pending?.cancel();
    for (const { watcher } of this.#folders.values()) watcher.close();
  }

  #namesIn(folder: string): Set<string> {
    const known = this.#folders.get(folder);
    if (known) return known.names;
    const names = new Set<string>();
    const watcher = watch(folder, (_event, name) => {
      if (name !== null && !names.has(name)) return;
      this.#pending?.cancel();
      this.#pending = this.#clock.schedule(settleTime, this.#onChange);
    });
    // The folder itself was removed.
    watcher.on('error', () => watcher.close());
    this.#folders.set(folder, { watcher, names });
    return names;
  }
}
