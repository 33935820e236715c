import { availableParallelism, loadavg } from 'node:os';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { Bench, type BenchOptions } from './bench.ts';
import { figures } from './figures/index.ts';
import { Workspace } from './host/workspace.ts';
import { production, sources } from './pairs/meshwright.ts';
import { peers } from './pairs/peers.ts';
import { compare, formatTable, type Row } from './report.ts';

interface Options extends Omit<BenchOptions, 'program' | 'progress'> {
  readonly sources?: boolean;
  readonly output: 'table' | 'json';
}

const everyPeer = Object.keys(peers);
const everyFigure = Object.keys(figures);

const program = new Command('bench')
  .description(
    'Measures a pair of our sidecars and pairs of peers that do the same work, in turn, round for round. Ours run as in ' +
      "production: the image's bundle and flags of Node. Compare only figures of one run. Needs Linux, nginx and wrk.",
  )
  .addArgument(
    new Argument('[figures...]', 'what to measure, or "all"')
      .choices([...everyFigure, 'all'])
      .default(['pair'], 'pair'),
  )
  .option('--rounds <n>', 'how often each is measured; the medians count', positive, 3)
  .option('--seconds <n>', 'length of one measurement', positive, 4)
  .addOption(
    new Option('--connections <list>', 'numbers of connections').argParser(positives).default([1, 4, 32], '1,4,32'),
  )
  .addOption(new Option('--peers <list>', 'whom to measure').argParser(peerNames).default(everyPeer, everyPeer.join()))
  .option('--sources', "run ours from the checkout's sources instead")
  .addOption(
    new Option('--node-flags <flags>', 'more flags for ours, for example "--cpu-prof"')
      .argParser(words)
      .default([], 'none'),
  )
  .addOption(new Option('-o, --output <format>', 'what is printed').choices(['table', 'json']).default('table'))
  .addHelpText(
    'after',
    `\nFigures:\n${everyFigure.map((name) => `  ${name.padEnd(12)} ${figures[name].summary}`).join('\n')}\n
Examples:
  $ npm run bench
  $ npm run bench -- grpc bodies --peers envoy --rounds 5
  $ npm run --silent bench -- all --seconds 2 -o json`,
  )
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('expected a whole number above 0');
  return value;
}

function positives(text: string): number[] {
  return text.split(',').map(positive);
}

function peerNames(text: string): string[] {
  const names = text.split(',');
  const unknown = names.find((name) => !Object.hasOwn(peers, name));
  if (unknown !== undefined) throw new InvalidArgumentError(`expected some of ${everyPeer.join()}, got ${unknown}`);
  return names;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter(Boolean);
}

function progress(message: string): void {
  process.stderr.write(`${message}\n`);
}

async function measure(names: readonly string[], options: Options): Promise<Row[]> {
  const [load] = loadavg();
  const cores = availableParallelism();
  if (load > cores / 2)
    progress(`other work disturbs the figures: this machine has a load of ${load.toFixed(1)} on ${cores} cores`);
  const bundled = new Workspace();
  try {
    const benchOptions = {
      ...options,
      progress,
      program: options.sources ? sources : await production(bundled.path('bundle')),
    };
    const rows: Row[] = [];
    for (const name of names) {
      progress(`measuring ${name}: ${figures[name].summary}`);
      const workspace = new Workspace();
      try {
        rows.push(...compare(await figures[name].measure(new Bench(benchOptions, workspace)), 'meshwright'));
      } finally {
        await workspace.close();
      }
    }
    return rows;
  } finally {
    await bundled.close();
  }
}

// Leaving by any way ends the children and removes the files, see Workspace.
for (const [signal, code] of [
  ['SIGHUP', 129],
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => process.exit(code));
}

const options = program.parse().opts<Options>();
const [asked] = program.processedArgs as [readonly string[]];
try {
  const rows = await measure(asked.includes('all') ? everyFigure : asked, options);
  console.log(options.output === 'json' ? JSON.stringify({ rows }) : formatTable(rows));
} catch (error) {
  progress(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
}
