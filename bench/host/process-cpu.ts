import { readFileSync } from 'node:fs';

/** `USER_HZ`: what the kernel counts CPU time in for user space, 100 on every architecture that Node runs on. */
const ticksPerSecond = 100;

/** User and system time of all threads of a process in microseconds, from the text of `/proc/PID/stat`. */
export function parseCpuTime(stat: string): number {
  // The second field is the command's name in parentheses, which may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  if (!Number.isInteger(ticks)) throw new Error(`expected the text of /proc/PID/stat, got "${stat.slice(0, 80)}"`);
  return (ticks * 1_000_000) / ticksPerSecond;
}

/** CPU time that processes have used so far, in microseconds. */
export function cpuTime(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + parseCpuTime(readFileSync(`/proc/${pid}/stat`, 'latin1')), 0);
}
