import { closeSync, openSync, write } from 'node:fs';
import type { Clock, Timer } from '../model/index.ts';

/** One finished exchange, as it is written: one JSON object a line. */
export interface AccessLogEntry {
  readonly timestamp: string;
  readonly direction: 'inbound' | 'outbound' | 'gateway';
  readonly method: string;
  readonly authority: string;
  /** Without its query, which may hold secrets. */
  readonly path: string;
  /** 101 for an upgrade, whose entry is written when its tunnel ends. */
  readonly status: number;
  /** Name of the status that a call of gRPC ended with. */
  readonly grpc_status?: string;
  /** Written in steps of a microsecond. */
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
  /** What went wrong on purpose in the last try. */
  readonly fault?: string;
  readonly request_id?: string;
  readonly retries?: number;
  /** Words, not flags: why the request did not succeed. */
  readonly error?: string;
  /** The same in Envoy's flags, for tools that know them: `UO` where a circuit breaker was open. */
  readonly response_flags?: string;
  readonly mtls: boolean;
}

let lastTime = 0;
let lastText = '';

/** RFC 3339 of Unix milliseconds. The last one is kept: under load many entries fall into one millisecond. */
export function isoTime(wallTime: number): string {
  if (wallTime !== lastTime || lastText === '') {
    lastTime = wallTime;
    lastText = new Date(wallTime).toISOString();
  }
  return lastText;
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

/** Entries wait this many milliseconds for others, or until a block is full of them: a write costs more than an entry. */
const flushDelay = 200;
const longestBlock = 65_536;
const maxWaiting = 4 * 1024 * 1024;
/** `PIPE_BUF` of Linux: a longer write to a pipe may be mixed with another process's. */
const pipeSize = 4096;

/**
 * Appends to a file (`-` is standard output), many entries a write. When the disk is slower than the traffic, entries
 * are dropped rather than memory used; `onDropped` hears how many. Where other processes write to the same, `shared`, no
 * write is longer than what a pipe takes as a whole.
 */
export function openAccessLog(
  path: string,
  clock: Clock,
  onDropped: (entries: number) => void,
  { shared = false }: { readonly shared?: boolean } = {},
): AccessLog {
  const blockSize = shared ? pipeSize : longestBlock;
  const descriptor = path === '-' ? 1 : openSync(path, 'a', 0o640);
  // Entries become bytes at once: as text they would wait in pieces, which the garbage collector copies again and again.
  let block: Buffer | undefined;
  let used = 0;
  const full: Buffer[] = [];
  let waiting = 0;
  let dropped = 0;
  let writing = false;
  let scheduled: Timer | undefined;
  const idle: (() => void)[] = [];

  const closeBlock = (): void => {
    if (block && used > 0) full.push(block.subarray(0, used));
    block = undefined;
    used = 0;
  };
  const pump = (): void => {
    scheduled?.cancel();
    scheduled = undefined;
    if (writing) return;
    if (full.length === 0) closeBlock();
    const chunk = full.shift();
    if (!chunk) {
      for (const resolve of idle.splice(0)) resolve();
      return;
    }
    writing = true;
    waiting -= chunk.length;
    writeFully(descriptor, chunk, () => {
      writing = false;
      if (dropped > 0) onDropped(dropped);
      dropped = 0;
      if (idle.length > 0 || full.length > 0) pump();
      else wake();
    });
  };
  const wake = (): void => {
    if (used > 0 && !writing) scheduled ??= clock.schedule(flushDelay, pump);
  };
  const flush = (): Promise<void> =>
    new Promise((resolve) => {
      idle.push(resolve);
      pump();
    });
  return {
    enabled: true,
    log(entry) {
      if (waiting > maxWaiting) {
        dropped++;
        return;
      }
      const line = serialize(entry);
      if (used + line.length > blockSize) {
        closeBlock();
        if (full.length > 0) pump();
      }
      block ??= Buffer.allocUnsafeSlow(Math.max(blockSize, line.length));
      used += block.write(line, used, 'latin1');
      waiting += line.length;
      wake();
    },
    flush,
    async close() {
      await flush();
      if (descriptor !== 1) closeSync(descriptor);
    },
  };
}

/**
 * One line of JSON, in ASCII. By hand, as it is written for every request: `JSON.stringify` of the object costs some
 * times more.
 */
function serialize(entry: AccessLogEntry): string {
  const {
    grpc_status: callStatus,
    target,
    route,
    upstream,
    fault,
    request_id: requestId,
    retries,
    error,
    response_flags: flags,
  } = entry;
  let line = `{"timestamp":"${entry.timestamp}","direction":"${entry.direction}","method":${known(entry.method)}`;
  line += `,"authority":${free(entry.authority)},"path":${free(entry.path)},"status":${entry.status}`;
  line += `,"duration_ms":${decimal(entry.duration_ms)},"bytes_received":${entry.bytes_received}`;
  line += `,"bytes_sent":${entry.bytes_sent},"source":${known(entry.source)},"service":${known(entry.service)}`;
  if (callStatus !== undefined) line += `,"grpc_status":"${callStatus}"`;
  if (target !== undefined) line += `,"target":${known(target)}`;
  if (route !== undefined) line += `,"route":${known(route)}`;
  if (upstream !== undefined) line += `,"upstream":${known(upstream)}`;
  if (fault !== undefined) line += `,"fault":${known(fault)}`;
  if (requestId !== undefined) line += `,"request_id":${free(requestId)}`;
  if (retries !== undefined) line += `,"retries":${retries}`;
  if (flags !== undefined) line += `,"response_flags":"${flags}"`;
  if (error !== undefined) line += `,"error":${free(error)}`;
  return `${line},"mtls":${entry.mtls}}\n`;
}

const thousandths = Array.from({ length: 1000 }, (_, part) => String(part).padStart(3, '0'));

/** With three digits behind the point: texts of whole numbers cost a tenth of those of fractions. */
function decimal(value: number): string {
  const scaled = Math.round(value * 1000);
  const whole = Math.floor(scaled / 1000);
  return `${whole}.${thousandths[scaled - whole * 1000]}`;
}

const maxQuoted = 4096;
const quoted = new Map<string, string>();

/** Quotes a value that comes again and again, such as the name of a service. */
function known(value: string): string {
  let text = quoted.get(value);
  if (text === undefined) {
    text = quote(value);
    if (quoted.size < maxQuoted) quoted.set(value, text);
  }
  return text;
}

const needsNoEscape = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** Quotes a value that a client chose. */
function free(value: string): string {
  return needsNoEscape.test(value) ? `"${value}"` : quote(value);
}

function quote(value: string): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function writeFully(descriptor: number, chunk: Buffer, done: () => void): void {
  write(descriptor, chunk, (error, written) => {
    if (error || written >= chunk.length) done();
    else writeFully(descriptor, chunk.subarray(written), done);
  });
}
