interface Outcome {
  readonly status: number;
  readonly body: string;
}

/** Sends requests one after the other in `lanes` until stopped, and keeps every failure. */
export class SteadyLoad {
  readonly failures: string[] = [];
  sent = 0;
  #stopped = false;
  #lanes: Promise<void>[];

  constructor(lanes: number, send: () => Promise<Outcome>) {
    this.#lanes = Array.from({ length: lanes }, async () => {
      while (!this.#stopped) {
        this.sent++;
        try {
          const { status, body } = await send();
          if (status >= 500) this.failures.push(`${status} ${body.trim()}`);
        } catch (error) {
          this.failures.push(String(error));
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
