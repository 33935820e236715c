import { closeSync, openSync, write } from 'node:fs';
import type { Clock, Timer } from '../model/index.ts';
import { LineWriter, quote } from './line-writer.ts';

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
  const line = new LineWriter();
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
      serialize(entry, line);
      const { bytes, length } = line;
      if (used + length > blockSize) {
        closeBlock();
        if (full.length > 0) pump();
      }
      block ??= Buffer.allocUnsafeSlow(Math.max(blockSize, length));
      used += bytes.copy(block, used, 0, length);
      waiting += length;
      wake();
    },
    flush,
    async close() {
      await flush();
      if (descriptor !== 1) closeSync(descriptor);
    },
  };
}

const ascii = (text: string): Buffer => Buffer.from(text, 'latin1');

const maxKnown = 1024;
const longestKnown = 256;

/** A member whose values come again and again, such as the name of a service: they are made bytes once. */
class KnownMember {
  readonly #name: string;
  readonly #known = new Map<string, Buffer>();
  /** The one before, which it mostly is again. */
  #lastValue: string | undefined;
  #last = ascii('');

  constructor(name: string) {
    this.#name = name;
  }

  write(line: LineWriter, value: string): void {
    if (value !== this.#lastValue) {
      this.#last = this.#find(value);
      this.#lastValue = value;
    }
    line.put(this.#last);
  }

  #find(value: string): Buffer {
    let member = this.#known.get(value);
    if (member === undefined) {
      member = ascii(`,"${this.#name}":${quote(value)}`);
      // A copy, as the value may be a part of a request's head, all of which it would keep.
      if (this.#known.size < maxKnown && value.length <= longestKnown)
        this.#known.set(Buffer.from(value).toString(), member);
    }
    return member;
  }
}

const [direction, method, source, service, callStatus, target, route, upstream, fault, flags] = [
  ...['direction', 'method', 'source', 'service', 'grpc_status', 'target', 'route', 'upstream', 'fault'],
  'response_flags',
].map((name) => new KnownMember(name));

const text = {
  authority: ascii(',"authority":'),
  path: ascii(',"path":'),
  status: ascii(',"status":'),
  duration: ascii(',"duration_ms":'),
  received: ascii(',"bytes_received":'),
  sent: ascii(',"bytes_sent":'),
  requestId: ascii(',"request_id":'),
  retries: ascii(',"retries":'),
  error: ascii(',"error":'),
  encrypted: ascii(',"mtls":true}\n'),
  plain: ascii(',"mtls":false}\n'),
};

let lastTimestamp = '';
let lastBeginning = ascii('');

/** Under load many lines begin alike. */
function beginning(timestamp: string): Buffer {
  if (timestamp !== lastTimestamp) {
    lastTimestamp = timestamp;
    lastBeginning = ascii(`{"timestamp":"${timestamp}"`);
  }
  return lastBeginning;
}

/** One line of JSON, member by member: it is written for every request. */
function serialize(entry: AccessLogEntry, line: LineWriter): void {
  line.begin();
  line.put(beginning(entry.timestamp));
  direction.write(line, entry.direction);
  method.write(line, entry.method);
  line.put(text.authority).quoted(entry.authority);
  line.put(text.path).quoted(entry.path);
  line.put(text.status).integer(entry.status);
  line.put(text.duration).decimal(entry.duration_ms);
  line.put(text.received).integer(entry.bytes_received);
  line.put(text.sent).integer(entry.bytes_sent);
  source.write(line, entry.source);
  service.write(line, entry.service);
  if (entry.grpc_status !== undefined) callStatus.write(line, entry.grpc_status);
  if (entry.target !== undefined) target.write(line, entry.target);
  if (entry.route !== undefined) route.write(line, entry.route);
  if (entry.upstream !== undefined) upstream.write(line, entry.upstream);
  if (entry.fault !== undefined) fault.write(line, entry.fault);
  if (entry.request_id !== undefined) line.put(text.requestId).quoted(entry.request_id);
  if (entry.retries !== undefined) line.put(text.retries).integer(entry.retries);
  if (entry.response_flags !== undefined) flags.write(line, entry.response_flags);
  if (entry.error !== undefined) line.put(text.error).quoted(entry.error);
  line.put(entry.mtls ? text.encrypted : text.plain);
}

function writeFully(descriptor: number, chunk: Buffer, done: () => void): void {
  write(descriptor, chunk, (error, written) => {
    if (error || written >= chunk.length) done();
    else writeFully(descriptor, chunk.subarray(written), done);
  });
}
