import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A process that runs until the workspace closes. */
export interface RunningProcess {
  readonly name: string;
  readonly pid: number;
  /** How it ended and what it said last; `undefined` while it runs. */
  readonly ended: () => string | undefined;
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

  /** Starts a process that serves. */
  start(name: string, command: string, args: readonly string[]): RunningProcess {
    const child = this.#spawn(command, args);
    let output = '';
    let end: string | undefined;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output = (output + text).slice(-keptOutput);
      });
    }
    child.once('error', (error) => {
      end = error.message;
    });
    child.once('close', (code, signal) => {
      end ??= `${name} ended with ${signal ?? `code ${code}`}: ${output.trim()}`;
    });
    return { name, pid: child.pid ?? 0, ended: () => end };
  }

  /** Runs a process to its end; gives what it wrote to standard output. */
  async run(command: string, args: readonly string[]): Promise<string> {
    const child = this.#spawn(command, args);
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

  #spawn(command: string, args: readonly string[]) {
    const child = spawn(command, args, { cwd: this.directory, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return child;
  }
}
