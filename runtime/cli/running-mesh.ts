import { findRunningMeshes, type RunningMesh } from '../local/index.ts';
import { FindingsError, finding } from '../model/index.ts';

/** The mesh that `meshwright up` runs for the package we are in. */
export function theRunningMesh(): RunningMesh {
  const running = findRunningMeshes(process.cwd());
  if (running.length === 1) return running[0];
  throw new FindingsError([
    finding('MW1801', {
      message:
        running.length === 0
          ? 'no mesh is running for this folder'
          : `several meshes are running: ${running.map(({ name, admin }) => `${name} (${admin})`).join(', ')}`,
      hint:
        running.length === 0 ? 'start one with: meshwright up <app>' : 'choose one with --admin, or with --manifests',
    }),
  ]);
}
