import { emptyLogs, type Figure, firstWarmUpSeconds } from '../bench.ts';
import { parsePauses } from '../host/gc-trace.ts';
import { runWrk } from '../load/wrk.ts';
import { inRounds } from '../rounds.ts';

/** What the garbage collector stops our sidecars for while they work. */
export const pauses: Figure = {
  summary: 'pauses of the garbage collector in ours, at --connections: the longest, and their share of the time',
  async measure(bench) {
    const { workspace, options } = bench;
    let output = '';
    const [ours] = await bench.start({
      peers: [],
      nodeFlags: ['--trace-gc'],
      onOutput(text) {
        output += text;
      },
    });
    const loads = options.connections.map((connections) => ({ name: `${connections} connections`, connections }));
    await runWrk(workspace, ours.url, Math.max(...options.connections), firstWarmUpSeconds);
    return inRounds([ours], loads, options, async ({ url }, { connections }) => {
      await emptyLogs(ours);
      output = '';
      await runWrk(workspace, url, connections, options.seconds);
      const all = parsePauses(output).map(({ milliseconds }) => milliseconds);
      const share = all.reduce((sum, one) => sum + one, 0) / (options.seconds * 1000 * ours.processes.length);
      return [
        { figure: 'gc-longest-pause', unit: 'ms', value: Math.max(0, ...all) },
        { figure: 'gc-share-of-time', unit: '%', value: share * 100 },
      ];
    });
  },
};
