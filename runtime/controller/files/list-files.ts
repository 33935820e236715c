import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface ListedFile {
  readonly path: string;
  /** Differs whenever the content may differ. */
  readonly signature: string;
}

/** The manifests below a directory, symbolic links followed, sorted. A directory that is not there has none. */
export async function listManifests(directory: string, maxFiles: number): Promise<ListedFile[]> {
  const files: ListedFile[] = [];
  await collect(directory, 0, maxFiles, files);
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Deeper than any sensible tree, and an end for links that lead in a circle. */
const maxDepth = 16;

async function collect(directory: string, depth: number, maxFiles: number, files: ListedFile[]): Promise<void> {
  if (depth > maxDepth) return;
  for (const name of await orNothing(readdir(directory), [])) {
    // Hidden: what editors and atomic writers leave, and Kubernetes' `..data` of a mounted ConfigMap.
    if (name.startsWith('.')) continue;
    if (files.length >= maxFiles) return;
    const path = join(directory, name);
    const found = await orNothing(stat(path, { bigint: true }), undefined);
    if (found?.isDirectory()) await collect(path, depth + 1, maxFiles, files);
    else if (found?.isFile() && /\.(ya?ml|json)$/.test(name)) {
      files.push({ path, signature: `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}` });
    }
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
