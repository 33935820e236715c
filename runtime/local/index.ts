/** Runs a whole mesh as processes on this machine: files for the API server, processes for pods. */
export { locateApp } from './app.ts';
export { askController } from './controller-client.ts';
export { type LocalEvent, type LocalMesh, startLocalMesh } from './local-mesh.ts';
export { manifestEndings, readManifests } from './manifests.ts';
export { findRunningMeshes, type RunningMesh } from './state-directory.ts';
export { Synthesizer } from './synthesizer.ts';
