import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../support/eventually.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const fixture = fileURLToPath(new URL('./fixtures/duo', import.meta.url));
const cli = fileURLToPath(new URL('../../runtime/cli/main.ts', import.meta.url));

/** What the front of the fixture answers. */
export interface Answer {
  readonly status: number;
  readonly pid?: number;
  readonly edition?: string;
  readonly called?: { readonly pid: number; readonly pod: string };
}

/** A copy of the fixture app, to be edited and run. */
export class Duo implements Disposable {
  readonly #directory = new TemporaryDirectory();
  readonly path = join(this.#directory.path, 'duo');

  constructor() {
    cpSync(fixture, this.path, { recursive: true });
  }

  /** Replaces text in a file of the app. */
  edit(file: string, from: string, to: string): void {
    const path = join(this.path, file);
    const text = readFileSync(path, 'utf8');
    if (!text.includes(from)) throw new Error(`${file} does not have ${from}`);
    writeFileSync(path, text.replace(from, to));
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.path, file), text);
  }

  read(file: string): string {
    return readFileSync(join(this.path, file), 'utf8');
  }

  [Symbol.dispose](): void {
    this.#directory[Symbol.dispose]();
  }
}

/** `meshwright up` as a process of its own. */
export class Up implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly #exit: Promise<unknown>;
  #stdout = '';
  #stderr = '';

  constructor(app: string, ...args: string[]) {
    const child = spawn(process.execPath, [cli, 'up', app, '-o', 'json', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process = child;
    this.#exit = once(child, 'close');
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Where things are, once everything is ready. */
  get endpoints(): { readonly ready: true; readonly gateway: string; readonly admin: string } | undefined {
    return this.#stdout.endsWith('\n') ? JSON.parse(this.#stdout) : undefined;
  }

  /** Fails with all it said where it does not get ready. */
  async ready(): Promise<void> {
    const deadline = AbortSignal.timeout(60_000);
    await eventually(() => {
      if (deadline.aborted || this.process.exitCode !== null) throw new Error(`not ready:\n${this.#stderr}`);
      return this.endpoints;
    }, 90_000);
  }

  async get(): Promise<Answer> {
    const response = await fetch(this.endpoints!.gateway);
    return { status: response.status, ...(response.ok ? ((await response.json()) as object) : {}) };
  }

  async exitCode(): Promise<number | null> {
    await this.#exit;
    return this.process.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill('SIGTERM');
    await this.#exit;
  }
}
