import { type FSWatcher, statSync, watch } from 'node:fs';

/** Watches a directory tree that may come, go and be replaced. */
export interface DirectoryWatch {
  /** Watches again where the directory is another one than before; call it now and then. */
  refresh(): void;
  close(): void;
}

/** `onEvent` may be called too often or, on some file systems, never: scan now and then as well. */
export function watchDirectory(directory: string, onEvent: () => void): DirectoryWatch {
  let watcher: FSWatcher | undefined;
  let watched: bigint | undefined;

  const stop = () => {
    watcher?.close();
    watcher = undefined;
    watched = undefined;
  };
  const refresh = () => {
    const inode = statSync(directory, { bigint: true, throwIfNoEntry: false })?.ino;
    if (inode === watched) return;
    stop();
    if (inode === undefined) return;
    try {
      watcher = watch(directory, { recursive: true, persistent: false }, onEvent);
      watcher.on('error', stop);
      watched = inode;
    } catch {
      // Out of watches: the slow scan has to do.
    }
  };
  refresh();
  return { refresh, close: stop };
}
