import { freePorts } from './host/ports.ts';
import { findProgram } from './host/tools.ts';
import type { Workspace } from './host/workspace.ts';
import { writeFilled } from './template.ts';

/** Starts the application that every pair forwards to; gives its port. */
export async function startBackend(workspace: Workspace): Promise<number> {
  const program = findProgram('nginx');
  const [port] = await freePorts(1);
  const config = await writeFilled(workspace, 'backend.conf', { BACKEND: port });
  workspace.start('nginx', program, ['-p', workspace.directory, '-e', 'stderr', '-c', config]);
  return port;
}
