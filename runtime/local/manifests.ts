import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LineCounter, parseAllDocuments } from 'yaml';
import { type Finding, finding } from '../model/index.ts';
import { type KubernetesObject, parseObject } from '../resources/index.ts';

export interface Manifests {
  readonly objects: readonly KubernetesObject[];
  readonly findings: readonly Finding[];
}

/** Reads every YAML or JSON file of some folders. */
export function readManifests(folders: readonly string[]): Manifests {
  const files = folders.flatMap((folder) => manifestsIn(folder).map((name) => join(folder, name)));
  const read = files.map((file) => parseManifest(readFileSync(file, 'utf8'), file));
  return { objects: read.flatMap(({ objects }) => objects), findings: read.flatMap(({ findings }) => findings) };
}

/** The objects of one file. `source` names it in findings. */
export function parseManifest(text: string, source: string): Manifests {
  const objects: KubernetesObject[] = [];
  const findings: Finding[] = [];
  const lines = new LineCounter();
  for (const document of parseAllDocuments(text, { lineCounter: lines })) {
    const [start] = document.range;
    const error = document.errors[0];
    if (error) {
      findings.push(
        finding('MW1001', {
          message: error.message.split('\n', 1)[0],
          hint: 'correct the YAML',
          object: `${source}:${lines.linePos(error.pos[0]).line}`,
        }),
      );
      continue;
    }
    const value: unknown = document.toJS();
    if (value === null || value === undefined) continue;
    const { object, findings: problems } = parseObject(value, `${source}:${lines.linePos(start).line}`);
    if (object) objects.push(object);
    else findings.push(...problems);
  }
  return { objects, findings };
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
    .filter((name) => /\.(ya?ml|json)$/.test(name))
    .sort();
}
