import { closeSync, openSync, renameSync, statSync, writeSync } from 'node:fs';

const defaultLimit = 1024 * 1024;
const tailBytes = 2048;

/** A log of bounded size: when full, it becomes `<path>.1` and a new one begins. */
export class LogFile {
  readonly path: string;
  readonly #limit: number;
  /** Undefined once closed. */
  #descriptor: number | undefined;
  #size: number;
  #tail: Buffer = Buffer.alloc(0);

  constructor(path: string, limit = defaultLimit) {
    this.path = path;
    this.#limit = limit;
    this.#descriptor = openSync(path, 'a');
    this.#size = statSync(path).size;
  }

  write(chunk: Buffer): void {
    // Pipes may deliver a last chunk after the process has ended.
    if (this.#descriptor === undefined) return;
    if (this.#size > 0 && this.#size + chunk.length > this.#limit) this.#rotate(this.#descriptor);
    writeSync(this.#descriptor, chunk);
    this.#size += chunk.length;
    // A copy: the chunk may be a view of a large read buffer.
    this.#tail = Buffer.concat([this.#tail, chunk].map((part) => part.subarray(-tailBytes))).subarray(-tailBytes);
  }

  /** The last lines written by this process. */
  tail(lines: number): string[] {
    return this.#tail.toString('utf8').trimEnd().split('\n').slice(-lines).filter(Boolean);
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #rotate(descriptor: number): void {
    closeSync(descriptor);
    renameSync(this.path, `${this.path}.1`);
    this.#descriptor = openSync(this.path, 'a');
    this.#size = 0;
  }
}
