/** A tar archive in memory, byte for byte the same for the same entries: no clock, no user names, no order but the given one. */

interface EntryBase {
  /** Relative, without a leading slash: `usr/local/bin/node`. At most 100 bytes, or 255 where a slash can split it. */
  readonly path: string;
  readonly mode: number;
  /** Owner and group. Default: 0. */
  readonly uid?: number;
}

export type TarEntry =
  /** The content is written one chunk after the other. */
  | (EntryBase & { readonly type: 'file'; readonly content: readonly Uint8Array[] })
  | (EntryBase & { readonly type: 'directory' });

const blockSize = 512;
const typeFlag = { file: '0', directory: '5' } as const;

/**
 * The archive (POSIX ustar) as chunks to be written one after the other: contents are not copied.
 *
 * @throws Error where a path is too long for the format.
 */
export function tar(entries: readonly TarEntry[]): readonly Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (const entry of entries) {
    chunks.push(header(entry));
    if (entry.type === 'directory') continue;
    chunks.push(...entry.content);
    const rest = byteLength(entry.content) % blockSize;
    if (rest > 0) chunks.push(new Uint8Array(blockSize - rest));
  }
  chunks.push(new Uint8Array(2 * blockSize));
  return chunks;
}

function header(entry: TarEntry): Uint8Array {
  const block = Buffer.alloc(blockSize);
  const { prefix, name } = splitPath(entry.type === 'directory' ? `${entry.path}/` : entry.path);
  const uid = entry.uid ?? 0;
  block.write(name, 0, 100);
  block.write(octal(entry.mode, 8), 100);
  block.write(octal(uid, 8), 108);
  block.write(octal(uid, 8), 116);
  block.write(octal(entry.type === 'file' ? byteLength(entry.content) : 0, 12), 124);
  block.write(octal(0, 12), 136);
  block.write(typeFlag[entry.type], 156);
  block.write('ustar\x0000', 257, 'latin1');
  block.write(prefix, 345, 155);
  block.fill(' ', 148, 156);
  const checksum = block.reduce((sum, byte) => sum + byte, 0);
  block.write(`${checksum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

export function byteLength(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
}

function octal(value: number, width: number): string {
  return value.toString(8).padStart(width - 1, '0');
}

/** A long path goes into two fields, split at a slash. */
function splitPath(path: string): { prefix: string; name: string } {
  if (Buffer.byteLength(path) <= 100) return { prefix: '', name: path };
  for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
    const [prefix, name] = [path.slice(0, slash), path.slice(slash + 1)];
    if (name && Buffer.byteLength(name) <= 100 && Buffer.byteLength(prefix) <= 155) return { prefix, name };
  }
  throw new Error(`path too long for a tar archive: "${path}" (at most 100 bytes after and 155 before some slash)`);
}

/** Adds the directories that the entries are in, parents before children, and sorts all by path. */
export function withDirectories(entries: readonly TarEntry[]): readonly TarEntry[] {
  const all = new Map<string, TarEntry>();
  for (const entry of entries) {
    for (let slash = entry.path.indexOf('/'); slash > 0; slash = entry.path.indexOf('/', slash + 1)) {
      const path = entry.path.slice(0, slash);
      if (!all.has(path)) all.set(path, { type: 'directory', path, mode: 0o755 });
    }
    all.set(entry.path, entry);
  }
  return [...all.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}
