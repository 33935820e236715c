import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** What starts and stops the cluster. */
export const scripts = resolve(import.meta.dirname, 'kubernetes');

/** Binaries, images and, while it runs, the state of the cluster. */
const home =
  process.env.MESH_CLUSTER_HOME ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'mesh-cluster');
export const binaries = join(home, 'bin');
const run = join(home, 'run');

/** There while the cluster is. */
export const pidsFile = join(run, 'pids');
export const kubeconfig = join(run, 'pki/admin.conf');
export const containerdSocket = join(run, 'containerd.sock');
