import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Manifest, parseManifest } from '../resources/index.ts';

/** How the names of manifest files end. */
export const manifestEndings: readonly string[] = ['.yaml', '.yml', '.json'];

/** Reads every YAML or JSON file of some folders. */
export function readManifests(folders: readonly string[]): Manifest & { readonly files: readonly string[] } {
  const files = folders.flatMap((folder) => manifestsIn(folder).map((name) => join(folder, name)));
  const read = files.map((file) => parseManifest(readFileSync(file, 'utf8'), file));
  return {
    files,
    objects: read.flatMap(({ objects }) => objects),
    findings: read.flatMap(({ findings }) => findings),
  };
}

/** Makes `to` hold what `from` holds, touching only files that differ and never leaving one half written. */
export function publishManifests(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  const wanted = manifestsIn(from);
  for (const name of wanted) writeIfChanged(join(to, name), readFileSync(join(from, name), 'utf8'));
  for (const name of manifestsIn(to)) if (!wanted.includes(name)) rmSync(join(to, name));
}

/** Replaces a file in one step, unless it holds the text already. */
export function writeIfChanged(path: string, text: string): void {
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

function manifestsIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => manifestEndings.some((ending) => name.endsWith(ending)))
    .sort();
}
