import { cpuDuring, emptyLogs, type Figure, firstWarmUpSeconds, warmUpSeconds } from '../bench.ts';
import { runWrk } from '../load/wrk.ts';
import { bodies as served } from '../pairs/backend.ts';
import { inRounds } from '../rounds.ts';

const connections = 4;

/** Large responses. */
export const bodies: Figure = {
  summary: 'body bytes a second of CPU time of both hops, bodies of 64 KiB and 1 MiB',
  async measure(bench) {
    const { workspace, options } = bench;
    const pairs = await bench.start();
    const loads = Object.entries(served).map(([path, size]) => ({ name: `${size / 1024} KiB bodies`, path, size }));
    const ask = ({ url }: { readonly url: string }, path: string, seconds: number) =>
      runWrk(workspace, new URL(path, url).href, connections, seconds);
    for (const pair of pairs) {
      options.progress(`warming up ${pair.name}`);
      for (const { path } of loads) await ask(pair, path, firstWarmUpSeconds);
    }
    return inRounds(pairs, loads, options, async (pair, { path, size }) => {
      await emptyLogs(pair);
      await ask(pair, path, warmUpSeconds);
      const { cpu, result } = await cpuDuring(pair, () => ask(pair, path, options.seconds));
      // Bytes a microsecond are megabytes a second.
      return [{ figure: 'bytes-per-cpu-second', unit: 'MB/s', value: (result.requests * size) / cpu }];
    });
  },
};
