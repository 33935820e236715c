import { execFileSync, spawnSync } from 'node:child_process';

/** Command lines, with their ids in front, of the processes that mention something. */
export function processesOf(part: string): string[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,args='], { encoding: 'utf8' }).split('\n');
  return lines.filter((line) => line.includes(part) && !line.includes('<defunct>'));
}

/** An orphan that ended may wait a while for init to notice: that is not running. */
export function isRunning(pid: number): boolean {
  const state = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim();
  return state !== '' && !state.startsWith('Z');
}
