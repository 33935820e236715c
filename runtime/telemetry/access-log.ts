import { closeSync, openSync, write } from 'node:fs';

/** One finished exchange, as it is written: one JSON object a line. */
export interface AccessLogEntry {
  readonly timestamp: string;
  readonly direction: 'inbound' | 'outbound' | 'gateway';
  readonly method: string;
  readonly authority: string;
  /** Without its query, which may hold secrets. */
  readonly path: string;
  readonly status: number;
  readonly duration_ms: number;
  readonly bytes_received: number;
  readonly bytes_sent: number;
  /** Who called: the verified SPIFFE id, or the address where there is none. */
  readonly source: string;
  /** The service called. */
  readonly service: string;
  /** The backend chosen by the route. */
  readonly target?: string;
  readonly route?: string;
  readonly upstream?: string;
  readonly request_id?: string;
  readonly retries?: number;
  /** Words, not flags: why the request did not succeed. */
  readonly error?: string;
  readonly mtls: boolean;
}

/** Takes finished exchanges. */
export interface AccessLog {
  /** Whether `log` does anything: an entry is only built when it is wanted. */
  readonly enabled: boolean;
  log(entry: AccessLogEntry): void;
  /** Resolves when everything logged so far is written. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Writes nothing. */
export const noAccessLog: AccessLog = { enabled: false, log() {}, flush: async () => {}, close: async () => {} };

const maxPendingBytes = 4 * 1024 * 1024;

/**
 * Appends to a file (`-` is standard output), many entries a write. When the disk is slower than the traffic, entries
 * are dropped rather than memory used; `onDropped` hears how many.
 */
export function openAccessLog(path: string, onDropped: (entries: number) => void): AccessLog {
  const descriptor = path === '-' ? 1 : openSync(path, 'a', 0o640);
  let pending = '';
  let dropped = 0;
  let writing = false;
  let scheduled = false;
  let idle: (() => void)[] = [];

  const settle = (): void => {
    if (writing || pending !== '') return;
    const waiting = idle;
    idle = [];
    for (const resolve of waiting) resolve();
  };
  const pump = (): void => {
    scheduled = false;
    if (writing || pending === '') {
      settle();
      return;
    }
    const chunk = Buffer.from(pending);
    pending = '';
    writing = true;
    writeFully(descriptor, chunk, () => {
      writing = false;
      if (dropped > 0) onDropped(dropped);
      dropped = 0;
      pump();
    });
  };
  const flush = (): Promise<void> =>
    new Promise((resolve) => {
      idle.push(resolve);
      pump();
    });
  return {
    enabled: true,
    log(entry) {
      if (pending.length > maxPendingBytes) {
        dropped++;
        return;
      }
      pending += `${JSON.stringify(entry)}\n`;
      if (scheduled || writing) return;
      scheduled = true;
      setImmediate(pump);
    },
    flush,
    async close() {
      await flush();
      if (descriptor !== 1) closeSync(descriptor);
    },
  };
}

function writeFully(descriptor: number, chunk: Buffer, done: () => void): void {
  write(descriptor, chunk, (error, written) => {
    if (error || written >= chunk.length) done();
    else writeFully(descriptor, chunk.subarray(written), done);
  });
}
