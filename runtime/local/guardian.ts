import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('./guardian-process.ts', import.meta.url));

/**
 * Sees to it that no process outlives us, even when we are killed with a signal that cannot be handled. A small
 * process holds the other end of a pipe, which the kernel closes with us; /proc or a death signal would be Linux only.
 */
export class Guardian {
  readonly #child: ChildProcess;
  #closed = false;

  constructor() {
    this.#child = spawn(process.execPath, [program], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    // It was killed: the mesh goes on, only without this protection.
    this.#child.stdin?.on('error', () => undefined);
    this.#child.on('error', () => undefined);
  }

  /** Once it is, nothing may be started any more: nobody would end it. */
  get closed(): boolean {
    return this.#closed;
  }

  /** From now on the process group led by `pid` is killed when we end. */
  watch(pid: number): void {
    this.#child.stdin?.write(`+${pid}\n`);
  }

  forget(pid: number): void {
    this.#child.stdin?.write(`-${pid}\n`);
  }

  /** Ends the guardian, and with it all that is still watched. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#child.stdin?.end();
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }
}
