import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Clock, type Finding, finding } from '../model/index.ts';
import type { App } from './app.ts';

/** A line on the standard input of a process that is to run the app. */
export type SynthOrder =
  | { readonly kind: 'warm-up'; readonly modules: readonly string[] }
  | { readonly kind: 'run'; readonly folder: string; readonly outdir: string };

/** Where the process writes its {@link SynthReport} when it ends. */
export const reportDescriptor = 3;

export interface SynthReport {
  /** The app's own files that were imported. */
  readonly sources: readonly string[];
  /** URLs of what these files import from elsewhere. */
  readonly modules: readonly string[];
}

export interface Synthesis {
  /** Why it failed, beside what the app itself said; empty when it worked. */
  readonly findings: readonly Finding[];
  readonly sources: readonly string[];
}

export interface SynthesizerOptions {
  readonly clock: Clock;
  /** What the app prints, such as its findings. */
  onOutput(text: string): void;
  /** Told of each process, so that it can be guarded. */
  onStart?(pid: number): void;
  onExit?(pid: number): void;
}

/** Beyond this an app hangs. */
const timeLimit = 60_000;
/** Exit code of an app that has told its findings. */
const withFindings = 3;
const preload = fileURLToPath(new URL('./synth-preload.ts', import.meta.url));

/** Synthesises an app again and again, each time in a fresh process that has been waiting for it. */
export class Synthesizer {
  readonly #app: App;
  readonly #options: SynthesizerOptions;
  readonly #alive = new Set<ChildProcess>();
  #standby: ChildProcess | undefined;
  #closed = false;

  constructor(app: App, options: SynthesizerOptions) {
    this.#app = app;
    this.#options = options;
  }

  /** Runs the app as it is now; it writes its manifests to `outdir`. */
  async run(outdir: string): Promise<Synthesis> {
    const child = this.#standby ?? this.#start();
    this.#standby = undefined;
    const report = readAll(child.stdio[reportDescriptor] as Readable);
    const deadline = this.#options.clock.schedule(timeLimit, () => child.kill('SIGKILL'));
    give(child, { kind: 'run', folder: pathToFileURL(`${this.#app.folder}/`).href, outdir });
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    deadline.cancel();
    const { sources, modules } = parseReport(await report);
    if (!this.#closed) {
      this.#standby = this.#start();
      give(this.#standby, { kind: 'warm-up', modules });
    }
    return {
      findings: code === 0 || this.#closed ? [] : [this.#failure(code, signal)],
      sources: [...new Set([this.#app.entry, ...sources])],
    };
  }

  close(): void {
    this.#closed = true;
    for (const child of this.#alive) child.kill('SIGKILL');
  }

  #start(): ChildProcess {
    const child = spawn(process.execPath, ['--import', preload, this.#app.entry], {
      cwd: this.#app.packageRoot,
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      detached: true,
    });
    const { pid } = child;
    this.#alive.add(child);
    if (pid !== undefined) this.#options.onStart?.(pid);
    child.once('exit', () => {
      this.#alive.delete(child);
      if (this.#standby === child) this.#standby = undefined;
      if (pid !== undefined) this.#options.onExit?.(pid);
    });
    // Either shows as an early exit.
    child.on('error', () => undefined);
    child.stdin.on('error', () => undefined);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => this.#options.onOutput(text));
    }
    return child;
  }

  #failure(code: number | null, signal: NodeJS.Signals | null): Finding {
    const end = signal ? `was ended by ${signal}` : `ended with code ${code}`;
    return finding('MW1514', {
      message: `${this.#app.entry} ${code === withFindings ? 'has findings' : end}`,
      hint: 'correct what the app says above; a mesh that runs keeps its last good version',
    });
  }
}

function give(child: ChildProcess, order: SynthOrder): void {
  child.stdin?.write(`${JSON.stringify(order)}\n`);
}

async function readAll(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream.setEncoding('utf8')) text += chunk;
  return text;
}

/** An app that was killed leaves none. */
function parseReport(text: string): SynthReport {
  return text ? (JSON.parse(text) as SynthReport) : { sources: [], modules: [] };
}
