import { get } from 'node:http';
import type { Clock, Timer } from '../../model/index.ts';

interface ScrapeTarget {
  readonly id: string;
  /** `host:port` of its admin port. */
  readonly address: string;
}

export interface ScraperOptions {
  readonly clock: Clock;
  readonly targets: () => readonly ScrapeTarget[];
  readonly onMetrics: (target: ScrapeTarget, text: string) => void;
  /** Called after each round. */
  readonly onRound: (targets: readonly ScrapeTarget[]) => void;
}

const interval = 2_000;
const timeout = 1_000;
const maxBytes = 8 << 20;
const concurrency = 32;

/** Asks all targets for their metrics every two seconds. One that does not answer is asked again next time. */
export function startScraper({ clock, targets, onMetrics, onRound }: ScraperOptions): { close(): void } {
  let timer: Timer | undefined;
  let closed = false;

  const round = async () => {
    const all = targets();
    const waiting = [...all];
    const work = async () => {
      for (let target = waiting.pop(); target && !closed; target = waiting.pop()) {
        const text = await fetchMetrics(target.address);
        if (text !== undefined && !closed) onMetrics(target, text);
      }
    };
    await Promise.all(Array.from({ length: Math.min(concurrency, all.length) }, work));
    if (closed) return;
    onRound(all);
    timer = clock.schedule(interval, () => void round());
  };
  void round();
  return {
    close() {
      closed = true;
      timer?.cancel();
    },
  };
}

async function fetchMetrics(address: string): Promise<string | undefined> {
  const url = URL.parse(`http://${address}/metrics`);
  // The proxy says where it is; no word of it may end the controller, or lead it to anything but metrics.
  if (url?.pathname !== '/metrics' || url.href !== `http://${url.host}/metrics`) return undefined;
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const request = get(url, { signal: AbortSignal.timeout(timeout) }, (response) => {
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > maxBytes) request.destroy();
      });
      response.on('end', () => resolve(response.statusCode === 200 ? Buffer.concat(chunks).toString() : undefined));
      response.on('close', () => resolve(undefined));
    });
    request.on('error', () => resolve(undefined));
  });
}
