import { cpuDuring, emptyLogs, type Figure, firstWarmUpSeconds, warmUpSeconds } from '../bench.ts';
import { findProgram } from '../host/tools.ts';
import { parseH2loadReport } from '../load/h2load.ts';
import { grpcMessage } from '../pairs/backend.ts';
import { inRounds } from '../rounds.ts';

/** Connections of HTTP/2 and calls at once on each. */
const loads = [
  { name: '1 call at a time', connections: 1, streams: 1 },
  { name: '4 x 8 calls', connections: 4, streams: 8 },
] as const;

/** Unary calls of gRPC with small messages. */
export const grpc: Figure = {
  summary: 'CPU time of both hops a unary call of gRPC (needs h2load and nghttpd)',
  async measure(bench) {
    const { workspace, options } = bench;
    const program = findProgram('h2load', 'nghttp2-client');
    const pairs = await bench.start({ application: 'grpc' });
    const message = workspace.path('message');
    await workspace.write('message', grpcMessage.toString('latin1'));
    const call = async (url: string, { connections, streams }: (typeof loads)[number], seconds: number) => {
      const fields = ['-H', 'content-type: application/grpc', '-H', 'te: trailers', '-d', message];
      const load = [`-c${connections}`, `-m${streams}`, '-t1', '-D', String(seconds), '-p', 'h2c'];
      const result = parseH2loadReport(await workspace.run(program, [...load, ...fields, url]));
      if (result.requests > 0 && result.problems.length === 0) return result;
      throw new Error(`calls to ${url} failed: ${result.problems.join() || 'none was answered'}`);
    };
    for (const { name, url } of pairs) {
      options.progress(`warming up ${name}`);
      await call(url, loads[1], firstWarmUpSeconds);
    }
    return inRounds(pairs, loads, options, async (pair, load) => {
      await emptyLogs(pair);
      await call(pair.url, load, warmUpSeconds);
      const { cpu, result } = await cpuDuring(pair, () => call(pair.url, load, options.seconds));
      return [
        { figure: 'grpc-cpu-per-call', unit: 'us', value: cpu / result.requests },
        { figure: 'grpc-latency-mean', unit: 'us', value: result.mean },
      ];
    });
  },
};
