import { Bench, emptyLogs, type Figure, firstWarmUpSeconds, warmUpSeconds } from '../bench.ts';
import { Workspace } from '../host/workspace.ts';
import { runWrk } from '../load/wrk.ts';
import { inRounds } from '../rounds.ts';

const connections = 64;
const concurrency = 2;

/** What a second processor brings. The peer of the comparison is the same pair with one process a sidecar. */
export const workers: Figure = {
  summary: `requests a second of ours with --concurrency ${concurrency}, beside those of one process`,
  async measure(bench) {
    const { options, workspace } = bench;
    const other = new Workspace();
    try {
      const [several] = await bench.start({ peers: [], concurrency });
      const [one] = await new Bench(options, other).start({ peers: [] });
      const pairs = [several, { ...one, name: 'one-process' }];
      for (const { url } of pairs) await runWrk(workspace, url, connections, firstWarmUpSeconds);
      return await inRounds(pairs, [{ name: `${connections} connections` }], options, async (pair) => {
        await emptyLogs(pair);
        await runWrk(workspace, pair.url, connections, warmUpSeconds);
        const { requests, p99 } = await runWrk(workspace, pair.url, connections, options.seconds);
        return [
          { figure: 'throughput', unit: 'rps', value: requests / options.seconds },
          { figure: 'throughput-p99', unit: 'us', value: p99 },
        ];
      });
    } finally {
      await other.close();
    }
  },
};
