import { readFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { Bench, emptyLogs, type Figure, firstWarmUpSeconds } from '../bench.ts';
import { type Cores, pin } from '../host/cores.ts';
import { memoryOf } from '../host/process-memory.ts';
import { findProgram, MissingTool } from '../host/tools.ts';
import { Workspace } from '../host/workspace.ts';
import { edgeSeconds, type OfferedLoad, parseH2loadLog, parseH2loadReport } from '../load/h2load.ts';
import { grpcMessage } from '../pairs/backend.ts';
import { type Application, type Pair, verifyPair } from '../pairs/pair.ts';
import { inRounds, type Reading, type Series } from '../rounds.ts';

/** Multiples of what the pair can carry. */
const factors = [1, 2, 4] as const;
/** A figure says something only where this share of the load was really offered. */
const leastOffered = 0.9;
/** Both hops of a pair have the one, the application and the load the other. */
const [pairCores, otherCores]: readonly Cores[] = ['0', '1'];

interface Kind {
  readonly name: string;
  readonly application: Application;
  /** Of the URL, where it is not the measured one. */
  readonly path?: string;
  /** Connections and requests on each that reach what the pair can carry, each sent when one was answered. */
  readonly closed: readonly string[];
  /** Connections and requests on each of the fixed rate: enough for all that wait. */
  readonly open: { readonly connections: number; readonly args: readonly string[] };
}

const kinds: readonly Kind[] = [
  {
    // Over HTTP/2, or the rate would be bounded by how many connections wait for their answers.
    name: 'small answers',
    application: 'grpc',
    closed: ['-c16', '-m8', '-p', 'h2c', '-d', 'message'],
    open: { connections: 32, args: ['-m1000', '-p', 'h2c', '-d', 'message'] },
  },
  {
    name: '64 KiB answers',
    application: 'http',
    path: '/bodies/64k',
    closed: ['-c64', '-m1', '--h1'],
    open: { connections: 8000, args: ['-m1', '--h1'] },
  },
];

/** More than a pair can carry, for as long as it is measured; after that it must do its work as before. */
export const overload: Figure = {
  summary: `goodput, and what is refused, at ${factors.join(', ')} times what the pair can carry on a processor of its own (needs h2load, taskset)`,
  async measure({ options }) {
    if (availableParallelism() < 2) throw new MissingTool('a second processor, for the load');
    const all: Series[] = [];
    for (const kind of kinds) {
      const workspace = new Workspace();
      try {
        all.push(...(await measureKind(new Bench(options, workspace), kind)));
      } finally {
        await workspace.close();
      }
    }
    return all;
  },
};

async function measureKind(bench: Bench, kind: Kind): Promise<Series[]> {
  const { workspace, options } = bench;
  const program = findProgram('h2load', 'nghttp2-client');
  await workspace.write('message', grpcMessage.toString('latin1'));
  const everywhere = `0-${availableParallelism() - 1}`;
  // What is started from here on inherits it: the application, the load.
  await pin(workspace, [process.pid], otherCores);
  try {
    const pairs = await bench.start({ application: kind.application });
    for (const { processes } of pairs) {
      await pin(
        workspace,
        processes.map(({ pid }) => pid),
        pairCores,
      );
    }
    const urlOf = ({ url }: Pair) => (kind.path ? new URL(kind.path, url).href : url);
    /** What the pair carries when each request waits for the answer to another one. */
    const carry = async (pair: Pair, seconds: number) => {
      const report = await workspace.run(program, [...kind.closed, '-t1', '-D', String(seconds), urlOf(pair)]);
      const { requests, problems } = parseH2loadReport(report);
      if (problems.length > 0) throw new Error(`requests to ${pair.name} failed: ${problems.join()}`);
      return requests / seconds;
    };
    const offer = async (pair: Pair, rate: number): Promise<OfferedLoad> => {
      const { connections, args } = kind.open;
      const log = workspace.path('requests.log');
      await rm(log, { force: true });
      const load = [`-c${connections}`, `--rps=${rate / connections}`, '-D', String(options.seconds + 2 * edgeSeconds)];
      await workspace.run(program, [...args, ...load, '-t1', `--log-file=${log}`, urlOf(pair)]);
      return parseH2loadLog(await readFile(log, 'latin1'));
    };
    for (const pair of pairs) await carry(pair, firstWarmUpSeconds);
    const loads = factors.map((factor) => ({ name: `${factor} x, ${kind.name}`, factor }));
    return await inRounds(pairs, loads, options, async (pair, { factor }) => {
      await emptyLogs(pair);
      const sustainable = await carry(pair, options.seconds);
      const load = await offer(pair, sustainable * factor);
      const recovery = await servesAgain(pair);
      const base: Reading[] = [
        { figure: 'overload-sustainable', unit: 'rps', value: sustainable },
        { figure: 'overload-offered', unit: 'rps', value: load.offered },
      ];
      if (load.offered < leastOffered * factor * sustainable) {
        options.progress(
          `no figure of ${pair.name}: of ${factor} times ${Math.round(sustainable)} a second, the load reached ${Math.round(load.offered)}`,
        );
        return base;
      }
      return [
        ...base,
        { figure: 'overload-goodput', unit: 'rps', value: load.good },
        { figure: 'overload-goodput-share', unit: '%', value: (load.good / sustainable) * 100 },
        { figure: 'overload-shed', unit: '%', value: load.shed * 100 },
        { figure: 'overload-failed', unit: '%', value: load.failed * 100 },
        { figure: 'overload-p99', unit: 'ms', value: load.p99 / 1000 },
        { figure: 'overload-recovery', unit: 'ms', value: recovery },
        ...pair.processes.map(
          ({ pid }, hop): Reading => ({
            figure: `overload-private-memory-${hop + 1}`,
            unit: 'MB',
            value: memoryOf(pid).private / 1e6,
          }),
        ),
      ];
    });
  } finally {
    await pin(workspace, [process.pid], everywhere);
  }
}

/** Milliseconds from the end of the load until the pair does its work as before. */
async function servesAgain(pair: Pair): Promise<number> {
  const ended = performance.now();
  await verifyPair(pair);
  return performance.now() - ended;
}
