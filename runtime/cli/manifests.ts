import { statSync } from 'node:fs';
import { manifestEndings, readManifests } from '../local/index.ts';
import type { Manifest } from '../resources/index.ts';
import { usageError } from './exit-code.ts';
import { hasErrors } from './findings.ts';

/**
 * Reads a folder that was named on the command line.
 *
 * @throws usage error where it is none, or holds nothing of a mesh: whoever mistypes a name must not take it for checked
 */
export function readFolder(folder: string): Manifest {
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (!stat) throw usageError(`${folder} is not there`);
  if (!stat.isDirectory()) throw usageError(`${folder} is a file; name the folder that holds it`);
  const { files, ...manifest } = readManifests([folder]);
  if (!isEmpty(manifest)) return manifest;
  const endings = manifestEndings.join(', ');
  const looked =
    files.length === 0 ? `no file there ends in ${endings}` : `its files (${endings}) hold no object of a mesh`;
  throw usageError(
    `there is nothing to check in ${folder}: ${looked}\n    fix: write the manifests first (meshwright synth, cdk8s synth), or correct the folder`,
  );
}

/** Whether there was nothing to read; what cannot be read is not nothing. */
export function isEmpty({ objects, findings }: Manifest): boolean {
  return objects.length === 0 && !hasErrors(findings);
}
