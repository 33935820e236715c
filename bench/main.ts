import { availableParallelism, loadavg } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { startBackend } from './backend.ts';
import { bundleSidecar } from './bundle.ts';
import { createAuthority, writePeerCertificates } from './certificates.ts';
import { findProgram, MissingTool } from './host/tools.ts';
import { Workspace } from './host/workspace.ts';
import { measure } from './measure.ts';
import { sourceProgram, startMeshwright } from './pairs/meshwright.ts';
import { type Pair, verifyPair } from './pairs/pair.ts';
import { type PeerOptions, peers } from './pairs/peers.ts';
import { compare, formatTable, type Row } from './report.ts';

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: readonly number[];
  readonly peers: readonly string[];
  readonly bundle?: boolean;
  readonly nodeFlags: readonly string[];
  readonly output: 'table' | 'json';
}

const everyPeer = Object.keys(peers);

const program = new Command('bench')
  .description(
    'Measures a pair of our sidecars and pairs of peers that do the same work, in turn: CPU time of both hops a ' +
      'request, p50 and p99. Compare only figures of one run. Needs Linux, nginx and wrk.',
  )
  .option('--rounds <n>', 'how often each pair is measured; the medians count', positive, 3)
  .option('--seconds <n>', 'length of one measurement', positive, 4)
  .addOption(
    new Option('--connections <list>', 'numbers of connections').argParser(positives).default([1, 4, 32], '1,4,32'),
  )
  .addOption(new Option('--peers <list>', 'whom to measure').argParser(peerNames).default(everyPeer, everyPeer.join()))
  .option('--bundle', 'measure the sidecar bundled by esbuild instead of its sources')
  .addOption(
    new Option('--node-flags <flags>', 'for our sidecars, for example "--max-semi-space-size=1"')
      .argParser(words)
      .default([], 'none'),
  )
  .addOption(new Option('-o, --output <format>', 'what is printed').choices(['table', 'json']).default('table'))
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

async function bench(options: Options, workspace: Workspace): Promise<Row[]> {
  const wrk = findProgram('wrk');
  const [load] = loadavg();
  const cores = availableParallelism();
  if (load > cores / 2)
    progress(`other work disturbs the figures: this machine has a load of ${load.toFixed(1)} on ${cores} cores`);
  const backend = await startBackend(workspace);
  const authority = await createAuthority();
  await writePeerCertificates(authority, workspace);

  const others = await startPeers(options.peers, { workspace, backend, progress });
  if (others.length === 0) throw new MissingTool('there is no peer to measure against');
  const sidecarProgram = options.bundle ? await bundleSidecar(workspace) : sourceProgram;
  const { nodeFlags } = options;
  const ours = await startMeshwright({ workspace, authority, backend, nodeFlags, program: sidecarProgram });

  const pairs = [ours, ...others];
  await Promise.all(pairs.map((pair) => verifyPair(pair)));
  return compare(await measure(pairs, { ...options, workspace, wrk, progress }), ours.name);
}

async function startPeers(names: readonly string[], options: PeerOptions): Promise<Pair[]> {
  const started: Pair[] = [];
  for (const name of names) {
    try {
      started.push(await peers[name](options));
    } catch (error) {
      if (!(error instanceof MissingTool)) throw error;
      progress(`skipped ${name}: ${error.message}`);
    }
  }
  return started;
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
const workspace = new Workspace();
try {
  const rows = await bench(options, workspace);
  console.log(options.output === 'json' ? JSON.stringify({ rows }) : formatTable(rows));
} catch (error) {
  progress(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
} finally {
  await workspace.close();
}
