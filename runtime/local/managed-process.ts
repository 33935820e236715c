import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock, Timer } from '../model/index.ts';
import type { Guardian } from './guardian.ts';
import type { LogFile } from './log-file.ts';

export interface ProcessSpec {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

export interface ProcessOptions {
  readonly clock: Clock;
  readonly guardian: Guardian;
  readonly log: LogFile;
  /** It ended although nobody stopped it; it starts again after `delay` milliseconds. */
  onCrash(reason: string, delay: number): void;
}

const firstDelay = 100;
const longestDelay = 10_000;
/** Up for so long, it counts as healthy: the next crash is answered quickly again. */
const healthyAfter = 10_000;

/** A process that is started again whenever it ends, less and less eagerly, until it is stopped. */
export class ManagedProcess {
  readonly #spec: ProcessSpec;
  readonly #options: ProcessOptions;
  #child: ChildProcess | undefined;
  #startedAt = 0;
  #delay = firstDelay;
  #restart: Timer | undefined;
  #stopped = false;
  /** Resolved when it has ended for good. */
  readonly #gone = Promise.withResolvers<void>();

  constructor(spec: ProcessSpec, options: ProcessOptions) {
    this.#spec = spec;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const { command, env, cwd } = this.#spec;
    const { clock, guardian, log } = this.#options;
    if (guardian.closed) return;
    this.#startedAt = clock.now();
    // A process group of its own: Ctrl-C is for us to handle, and what it starts itself can be ended with it.
    const child = spawn(command[0], command.slice(1), { env, cwd, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#child = child;
    if (child.pid !== undefined) guardian.watch(child.pid);
    child.stdout.on('data', (chunk: Buffer) => log.write(chunk));
    child.stderr.on('data', (chunk: Buffer) => log.write(chunk));
    child.once('error', (error) => this.#ended(child, `cannot be started: ${error.message}`));
    child.once('exit', (code, signal) =>
      this.#ended(child, signal ? `was ended by ${signal}` : `ended with code ${code}`),
    );
  }

  /**
   * Asks it to end, and after `grace` milliseconds no longer asks. Resolves when it has ended. May be called again, to
   * grant less time.
   */
  async stop(grace: number): Promise<void> {
    this.#stopped = true;
    this.#restart?.cancel();
    const child = this.#child;
    if (!child) return;
    signalGroup(child, 'SIGTERM');
    const deadline = this.#options.clock.schedule(grace, () => signalGroup(child, 'SIGKILL'));
    await this.#gone.promise;
    deadline.cancel();
  }

  #ended(child: ChildProcess, reason: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    const { clock, guardian, log, onCrash } = this.#options;
    // What it left behind would hold its ports.
    signalGroup(child, 'SIGKILL');
    if (child.pid !== undefined) guardian.forget(child.pid);
    if (this.#stopped) {
      this.#gone.resolve();
      return;
    }
    if (clock.now() - this.#startedAt >= healthyAfter) this.#delay = firstDelay;
    const delay = this.#delay;
    this.#delay = Math.min(delay * 2, longestDelay);
    log.write(Buffer.from(`-- ${this.#spec.name} ${reason}; starts again in ${delay} ms\n`));
    this.#restart = clock.schedule(delay, () => this.start());
    onCrash(reason, delay);
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // Nobody left in it.
  }
}
