import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A process that runs until the workspace closes. */
export interface RunningProcess {
  readonly name: string;
  readonly pid: number;
  /** By the clock of `performance.now()`. */
  readonly started: number;
  /** How it ended and what it said last; `undefined` while it runs. */
  readonly ended: () => string | undefined;
}

export interface StartOptions {
  /** Beside those of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Hears all that it writes. */
  readonly onOutput?: (text: string) => void;
}

const keptOutput = 4096;

/** A temporary directory and the processes that work in it. Both are gone when it closes or this process ends. */
export class Workspace {
  readonly directory: string;
  readonly #children = new Set<ChildProcess>();
  readonly #remove = (): void => {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
  };

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'meshwright-bench-'));
    process.on('exit', this.#remove);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Writes a file into the directory; gives its path. */
  async write(name: string, text: string): Promise<string> {
    const path = this.path(name);
    await writeFile(path, text);
    return path;
  }

  /** Starts a process that serves. */
  start(name: string, command: string, args: readonly string[], options: StartOptions = {}): RunningProcess {
    const started = performance.now();
    const child = this.#spawn(command, args, options.environment);
    let output = '';
    let end: string | undefined;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output = (output + text).slice(-keptOutput);
        options.onOutput?.(text);
      });
    }
    child.once('error', (error) => {
      end = error.message;
    });
    child.once('close', (code, signal) => {
      end ??= `${name} ended with ${signal ?? `code ${code}`}: ${output.trim()}`;
    });
    return { name, pid: child.pid ?? 0, started, ended: () => end };
  }

  /** Runs a process to its end; gives what it wrote to standard output. */
  async run(command: string, args: readonly string[], environment?: StartOptions['environment']): Promise<string> {
    const child = this.#spawn(command, args, environment);
    const [stdout, stderr, [code, signal]] = await Promise.all([
      child.stdout.setEncoding('utf8').toArray(),
      child.stderr.setEncoding('utf8').toArray(),
      once(child, 'close'),
    ]);
    if (code !== 0) throw new Error(`${command} ended with ${signal ?? `code ${code}`}: ${stderr.join('').trim()}`);
    return stdout.join('');
  }

  /** Ends every process and removes the directory. */
  async close(): Promise<void> {
    const ends = [...this.#children].map((child) => once(child, 'close'));
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all(ends);
    this.#remove();
    process.off('exit', this.#remove);
  }

  #spawn(command: string, args: readonly string[], environment: StartOptions['environment'] = {}) {
    const env = { ...process.env, ...environment };
    const child = spawn(command, args, { cwd: this.directory, env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return child;
  }
}
