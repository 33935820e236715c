/*
 * Outlives `meshwright up` by a moment: reads `+<pid>` and `-<pid>` lines, and when the other end of the pipe closes,
 * for whatever reason, kills the process groups that are still registered.
 */
import { createInterface } from 'node:readline';

const groups = new Set<number>();

// A terminal's Ctrl-C and hang-up are for `up` itself; it ends us by closing the pipe.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

createInterface(process.stdin)
  .on('line', (line) => {
    const pid = Number(line.slice(1));
    if (line.startsWith('+')) groups.add(pid);
    else groups.delete(pid);
  })
  .on('close', () => {
    for (const group of groups) {
      try {
        process.kill(-group, 'SIGKILL');
      } catch {
        // Gone by itself.
      }
    }
  });
