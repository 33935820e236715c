import { emptyLogs, type Figure, firstWarmUpSeconds } from '../bench.ts';
import { findVegeta } from '../host/tools.ts';
import { runVegeta } from '../load/vegeta.ts';
import { runWrk } from '../load/wrk.ts';
import { type Pair, verifyPair } from '../pairs/pair.ts';
import { inRounds } from '../rounds.ts';

const connections = 32;
const factor = 2;
/** Responses of 64 KiB: at twice the rate of small ones the load generator would fail before the pair. */
const path = '/bodies/64k';

/** More than a pair can carry, for as long as it is measured; after that it must do its work as before. */
export const overload: Figure = {
  summary: `goodput and shed requests at ${factor} times the rate that ${connections} connections reach (needs Go, for vegeta)`,
  async measure(bench) {
    const { workspace, options } = bench;
    const vegeta = await findVegeta(workspace, options.progress);
    const pairs = await bench.start();
    const urlOf = ({ url }: Pair) => new URL(path, url).href;
    for (const pair of pairs) await runWrk(workspace, urlOf(pair), connections, firstWarmUpSeconds);
    return inRounds(pairs, [{ name: `${factor} x sustainable` }], options, async (pair) => {
      await emptyLogs(pair);
      const sustainable =
        (await runWrk(workspace, urlOf(pair), connections, options.seconds)).requests / options.seconds;
      const rate = Math.round(sustainable * factor);
      const { statuses, seconds, p99 } = await runVegeta(workspace, vegeta, {
        url: urlOf(pair),
        rate,
        seconds: options.seconds,
      });
      await verifyPair(pair);
      const { 200: good = 0, 503: shed = 0 } = statuses;
      const total = Object.values(statuses).reduce((sum, one) => sum + one, 0);
      return [
        { figure: 'overload-sustainable', unit: 'rps', value: sustainable },
        // Less than asked for where the machine is too small for the load generator beside the pair.
        { figure: 'overload-offered', unit: 'rps', value: total / seconds },
        { figure: 'overload-goodput', unit: 'rps', value: good / seconds },
        { figure: 'overload-goodput-share', unit: '%', value: (good / seconds / sustainable) * 100 },
        { figure: 'overload-shed', unit: '%', value: (shed / total) * 100 },
        { figure: 'overload-failed', unit: '%', value: ((total - good - shed) / total) * 100 },
        { figure: 'overload-p99', unit: 'ms', value: p99 / 1000 },
      ];
    });
  },
};
