import { existsSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { cpuTime } from './host/process-cpu.ts';
import { MissingTool } from './host/tools.ts';
import type { StartOptions, Workspace } from './host/workspace.ts';
import { startBackend } from './pairs/backend.ts';
import { createAuthority, writePeerCertificates } from './pairs/certificates.ts';
import { type Program, startMeshwright } from './pairs/meshwright.ts';
import { type Pair, type PairOptions, verifyPair } from './pairs/pair.ts';
import { peers } from './pairs/peers.ts';
import type { RoundOptions, Series } from './rounds.ts';

/** What is measured under one name of the command line. */
export interface Figure {
  /** For `--help`. */
  readonly summary: string;
  measure(bench: Bench): Promise<readonly Series[]>;
}

export interface BenchOptions extends RoundOptions {
  /** Length of one measurement. */
  readonly seconds: number;
  readonly connections: readonly number[];
  readonly peers: readonly string[];
  /** How ours is run, and with which further flags of Node. */
  readonly program: Program;
  readonly nodeFlags: readonly string[];
}

/** What differs from pairs that speak HTTP and know one service. */
export interface Wanted extends Partial<Pick<PairOptions, 'application' | 'services'>> {
  /** Processes of each sidecar of ours. */
  readonly concurrency?: number;
  /** Further flags of Node for ours. */
  readonly nodeFlags?: readonly string[];
  /** Hears what ours write. */
  readonly onOutput?: StartOptions['onOutput'];
  /** Default: those of the command line. */
  readonly peers?: readonly string[];
}

/** One figure's measurement: its processes and files end with it. */
export class Bench {
  readonly options: BenchOptions;
  readonly workspace: Workspace;

  constructor(options: BenchOptions, workspace: Workspace) {
    this.options = options;
    this.workspace = workspace;
  }

  /** Starts pairs, ours first, that do their work when this resolves. Call it once. */
  async start(wanted?: Wanted): Promise<Pair[]> {
    const pairs = await this.launch(wanted);
    await Promise.all(pairs.map((pair) => verifyPair(pair)));
    return pairs;
  }

  /** As {@link start}, without waiting for them. */
  async launch(wanted: Wanted = {}): Promise<Pair[]> {
    const { application = 'http', services = 0, concurrency = 1, nodeFlags = [], onOutput } = wanted;
    const { workspace, options } = this;
    const authority = await createAuthority();
    const backend = await startBackend(workspace, application);
    await writePeerCertificates(authority, workspace);
    const common: PairOptions = { workspace, application, services, backend, progress: options.progress };
    const others = await this.#startPeers(wanted.peers ?? options.peers, common);
    const flags = [...options.nodeFlags, ...nodeFlags];
    const { program } = options;
    const ours = await startMeshwright({ ...common, authority, program, nodeFlags: flags, concurrency, onOutput });
    return [ours, ...others];
  }

  async #startPeers(names: readonly string[], options: PairOptions): Promise<Pair[]> {
    const started: Pair[] = [];
    for (const name of names) {
      try {
        started.push(await peers[name](options));
      } catch (error) {
        if (!(error instanceof MissingTool)) throw error;
        options.progress(`skipped ${name}: ${error.message}`);
      }
    }
    return started;
  }
}

/** CPU time in microseconds that both hops use while `work` is done. */
export async function cpuDuring<T>(pair: Pair, work: () => Promise<T>): Promise<{ cpu: number; result: T }> {
  const pids = pair.processes.map(({ pid }) => pid);
  const before = cpuTime(pids);
  const result = await work();
  return { cpu: cpuTime(pids) - before, result };
}

/** Logs fill a disk in the end. */
export async function emptyLogs({ logs }: Pair): Promise<void> {
  for (const log of logs) if (existsSync(log)) await truncate(log);
}

/** Seconds of load before a measurement. */
export const warmUpSeconds = 1;
/** Once, before the first round: until a just-in-time compiler has seen enough. */
export const firstWarmUpSeconds = 3;
