import { readdirSync, readFileSync } from 'node:fs';
import { findProgram } from './tools.ts';
import type { Workspace } from './workspace.ts';

/** Processors of this machine, as `taskset` names them: `0` or `1-3,5`. */
export type Cores = string;

/** Has all threads of processes run on `cores` only, and those that they start from then on. */
export async function pin(workspace: Workspace, pids: readonly number[], cores: Cores): Promise<void> {
  const taskset = findProgram('taskset', 'util-linux');
  for (const pid of pids) {
    await workspace.run(taskset, ['--all-tasks', '--cpu-list', '--pid', cores, String(pid)]);
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const allowed = parseAllowedCores(readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1'));
      if (allowed !== cores)
        throw new Error(`expected process ${pid} on the processors ${cores}, found it on ${allowed}`);
    }
  }
}

/** The processors that a thread may use, from the text of its `/proc/PID/task/ID/status`. */
export function parseAllowedCores(status: string): Cores {
  const found = /^Cpus_allowed_list:\s+(\S+)$/m.exec(status);
  if (!found) throw new Error(`expected Cpus_allowed_list in /proc/PID/status, got "${status.slice(0, 80)}"`);
  return found[1];
}
