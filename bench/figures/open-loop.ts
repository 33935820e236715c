import { emptyLogs, type Figure, firstWarmUpSeconds, warmUpSeconds } from '../bench.ts';
import { findVegeta } from '../host/tools.ts';
import { runVegeta } from '../load/vegeta.ts';
import { runWrk } from '../load/wrk.ts';
import { inRounds } from '../rounds.ts';

const rate = 1000;

/** A steady rate, whether or not what was sent before is answered, as users send it. */
export const openLoop: Figure = {
  summary: `p50 and p99 at ${rate} requests a second, open loop (needs wrk, and Go for vegeta)`,
  async measure(bench) {
    const { workspace, options } = bench;
    const vegeta = await findVegeta(workspace, options.progress);
    const pairs = await bench.start();
    const send = async ({ name, url }: { readonly name: string; readonly url: string }, seconds: number) => {
      const result = await runVegeta(workspace, vegeta, { url, rate, seconds });
      const others = Object.keys(result.statuses).filter((status) => status !== '200');
      if (others.length > 0) throw new Error(`${name} failed requests: ${JSON.stringify(result.statuses)}`);
      return result;
    };
    // As many requests as other figures begin with: until thousands have passed, compilers stall some.
    for (const { name, url } of pairs) {
      options.progress(`warming up ${name}`);
      await runWrk(workspace, url, Math.max(...options.connections), firstWarmUpSeconds);
    }
    return inRounds(pairs, [{ name: `${rate} rps` }], options, async (pair) => {
      await emptyLogs(pair);
      await send(pair, warmUpSeconds);
      const { p50, p99 } = await send(pair, options.seconds);
      return [
        { figure: 'open-loop-p50', unit: 'us', value: p50 },
        { figure: 'open-loop-p99', unit: 'us', value: p99 },
      ];
    });
  },
};
