import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface ListedFile {
  readonly path: string;
  /** Differs whenever the content may differ. */
  readonly signature: string;
}

export interface Listing {
  /** Manifests, sorted by path. */
  readonly files: ListedFile[];
  /** From the path of each directory to what tells it from another one of the same path. */
  readonly directories: Map<string, bigint>;
  /** The first manifest that is not listed because there are too many. */
  firstLeftOut?: string;
}

export const maxFiles = 10_000;
/** Deeper than any sensible tree, and an end for links that lead in a circle. */
const maxDepth = 16;

/** The manifests below some directories, symbolic links followed. A directory that is not there has none. */
export async function listManifests(roots: readonly string[]): Promise<Listing> {
  const listing: Listing = { files: [], directories: new Map() };
  for (const root of roots) await visit(root, 0, listing);
  listing.files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return listing;
}

async function visit(path: string, depth: number, listing: Listing): Promise<void> {
  const found = await orNothing(stat(path, { bigint: true }), undefined);
  if (found?.isDirectory() && depth <= maxDepth) {
    listing.directories.set(path, found.ino);
    for (const name of await orNothing(readdir(path), [])) {
      // Hidden: what editors and atomic writers leave, and Kubernetes' `..data` of a mounted ConfigMap.
      if (!name.startsWith('.')) await visit(join(path, name), depth + 1, listing);
    }
  } else if (found?.isFile() && /\.(ya?ml|json)$/.test(path)) {
    if (listing.files.length >= maxFiles) listing.firstLeftOut ??= path;
    else listing.files.push({ path, signature: `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}` });
  }
}

/** What vanishes while it is being listed was not there. */
async function orNothing<T, U>(promise: Promise<T>, nothing: U): Promise<T | U> {
  try {
    return await promise;
  } catch {
    return nothing;
  }
}
