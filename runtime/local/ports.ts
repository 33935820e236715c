import { createServer } from 'node:net';
import type { Random } from '../model/index.ts';

/**
 * Below the range that Linux and macOS give to outgoing connections: a port from that range could be taken by some
 * connection while the process that listens on it restarts.
 */
const first = 20_000;
const last = 32_000;

/** Whether 127.0.0.1:`port` can be listened on now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Gives out free ports of 127.0.0.1, each once until it is given back. */
export class PortAllocator {
  readonly #taken = new Set<number>();
  #next: number;

  constructor(random: Random) {
    this.#next = first + Math.floor(random() * (last - first));
  }

  async take(): Promise<number> {
    for (let tries = first; tries <= last; tries++) {
      const port = this.#next;
      this.#next = port === last ? first : port + 1;
      if (this.#taken.has(port)) continue;
      // Before the check: another call must not be given the port while this one waits.
      this.#taken.add(port);
      if (await isFree(port)) return port;
      this.#taken.delete(port);
    }
    throw new Error(`no free port between ${first} and ${last}`);
  }

  release(ports: Iterable<number>): void {
    for (const port of ports) this.#taken.delete(port);
  }
}
