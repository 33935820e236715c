import { cpuDuring, emptyLogs, type Figure, firstWarmUpSeconds, warmUpSeconds } from '../bench.ts';
import { runWrk } from '../load/wrk.ts';
import { inRounds } from '../rounds.ts';

/** Small requests, each connection sending the next when it was answered. */
export const pair: Figure = {
  summary: 'CPU time of both hops a small request, p50 and p99, at --connections',
  async measure(bench) {
    const { workspace, options } = bench;
    const pairs = await bench.start();
    const loads = options.connections.map((connections) => ({ name: `${connections} connections`, connections }));
    for (const { name, url } of pairs) {
      options.progress(`warming up ${name}`);
      await runWrk(workspace, url, Math.max(...options.connections), firstWarmUpSeconds);
    }
    return inRounds(pairs, loads, options, async (measured, { connections }) => {
      await emptyLogs(measured);
      await runWrk(workspace, measured.url, connections, warmUpSeconds);
      const { cpu, result } = await cpuDuring(measured, () =>
        runWrk(workspace, measured.url, connections, options.seconds),
      );
      return [
        { figure: 'cpu-per-request', unit: 'us', value: cpu / result.requests },
        { figure: 'latency-p50', unit: 'us', value: result.p50 },
        { figure: 'latency-p99', unit: 'us', value: result.p99 },
      ];
    });
  },
};
