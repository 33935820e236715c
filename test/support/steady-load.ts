interface Outcome {
  readonly status: number;
  readonly body: string;
}

export interface SteadyLoadOptions {
  /** @default 200 */
  readonly expected?: number;
}

/** Sends requests one after the other in `lanes` until stopped, and keeps every failure: what is not answered as expected. */
export class SteadyLoad {
  readonly failures: string[] = [];
  sent = 0;
  #stopped = false;
  #lanes: Promise<void>[];

  /** `send` gets the number of the request, from 0. */
  constructor(lanes: number, send: (id: number) => Promise<Outcome>, { expected = 200 }: SteadyLoadOptions = {}) {
    this.#lanes = Array.from({ length: lanes }, async () => {
      while (!this.#stopped) {
        const id = this.sent++;
        try {
          const { status, body } = await send(id);
          if (status !== expected) this.failures.push(`request ${id}: ${status} ${body.trim()}`);
        } catch (error) {
          this.failures.push(`request ${id}: ${error}`);
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
    });
  }

  /** Resolves when `count` more requests were sent. */
  async more(count: number): Promise<void> {
    const target = this.sent + count;
    while (this.sent < target) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#lanes);
  }
}
