import type { IncomingMessage } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import type { Clock } from '../model/index.ts';
import { ApiError } from './api-error.ts';
import type { Credentials } from './credentials.ts';

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  /** @default application/json */
  readonly contentType?: string;
}

export interface StreamOptions {
  readonly signal: AbortSignal;
  /** Milliseconds of silence after which it fails. */
  readonly idleTimeout: number;
  readonly onOpen?: () => void;
  /** What it throws ends the stream. */
  readonly onLine: (line: string) => void;
}

/** Milliseconds that a call may take. */
const callTimeout = 30_000;
/** Five hundred objects of the size of a large pod take a tenth of it. */
const maxAnswerBytes = 256 << 20;
const maxLineBytes = 16 << 20;
/** Calls beyond these wait for each other, within their time. */
const maxCallsAtOnce = 32;
/** Milliseconds of silence after which the kernel asks whether the server is still there. */
const keepAliveDelay = 15_000;

/** HTTPS to one API server: calls with an answer, and streams of lines. */
export class Transport {
  readonly #credentials: () => Promise<Credentials>;
  readonly #clock: Clock;
  readonly #calls = new Agent({ keepAlive: true, keepAliveMsecs: keepAliveDelay, maxSockets: maxCallsAtOnce });
  readonly #streams = new Agent({ keepAlive: true, keepAliveMsecs: keepAliveDelay });

  constructor(credentials: () => Promise<Credentials>, clock: Clock) {
    this.#credentials = credentials;
    this.#clock = clock;
  }

  /** @returns what the JSON of the answer held */
  async call(call: Call): Promise<unknown> {
    const patience = this.#patience(call);
    try {
      const response = await this.#send(call, this.#calls, patience.signal);
      return JSON.parse(await readText(response, maxAnswerBytes));
    } catch (error) {
      throw explain(error, call, patience.signal);
    } finally {
      patience.end();
    }
  }

  /** Ends when the server ends it or the signal does. */
  async stream(call: Call, { signal, idleTimeout, onOpen, onLine }: StreamOptions): Promise<void> {
    const patience = this.#patience(call);
    const renew = () => patience.renew(idleTimeout, `nothing came for ${idleTimeout / 1000} s`);
    try {
      const response = await this.#send(call, this.#streams, AbortSignal.any([signal, patience.signal]));
      renew();
      onOpen?.();
      const lines = new LineReader(onLine);
      for await (const chunk of response) {
        renew();
        lines.read(chunk as Buffer);
      }
    } catch (error) {
      if (!signal.aborted) throw explain(error, call, patience.signal);
    } finally {
      patience.end();
    }
  }

  close(): void {
    this.#calls.destroy();
    this.#streams.destroy();
  }

  async #send(call: Call, agent: Agent, signal: AbortSignal): Promise<IncomingMessage> {
    const credentials = await this.#credentials();
    const { headers, ...options } = await credentials.options();
    const { server } = credentials;
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const all: RequestOptions = {
      agent,
      ...options,
      host: server.hostname.replace(/^\[|\]$/g, ''),
      port: server.port || 443,
      method: call.method,
      path: `${server.pathname.replace(/\/$/, '')}${call.path}${queryOf(call.query)}`,
      headers: {
        accept: 'application/json',
        'user-agent': 'meshwright',
        ...(body === undefined
          ? {}
          : { 'content-type': call.contentType ?? 'application/json', 'content-length': Buffer.byteLength(body) }),
        ...headers,
      },
      signal,
    };
    const response = await this.#exchange(all, body);
    if (response.statusCode! >= 200 && response.statusCode! < 300) return response;
    throw await refusal(call, response);
  }

  #exchange(options: RequestOptions, body: string | undefined, again = true): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sent = request(options, resolve);
      sent.on('error', (error: NodeJS.ErrnoException) => {
        // The server closed a kept connection at the moment it was used: nothing was asked yet.
        const stale = sent.reusedSocket && error.code === 'ECONNRESET' && options.method === 'GET' && again;
        if (stale) this.#exchange(options, body, false).then(resolve, reject);
        else reject(error);
      });
      sent.end(body);
    });
  }

  /** Ends with its signal when no answer came in time, or when what it was renewed for did not happen. */
  #patience({ method, path }: Call) {
    const controller = new AbortController();
    const begin = (delay: number, message: string) =>
      this.#clock.schedule(delay, () =>
        controller.abort(new ApiError(`${method} ${path}: ${message}`, { status: 0, reason: 'Timeout' })),
      );
    let timer = begin(callTimeout, `no answer within ${callTimeout / 1000} s`);
    return {
      signal: controller.signal,
      renew: (delay: number, message: string) => {
        timer.cancel();
        timer = begin(delay, message);
      },
      end: () => timer.cancel(),
    };
  }
}

function queryOf(query: Call['query'] = {}): string {
  const entries = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return entries.length ? `?${new URLSearchParams(entries)}` : '';
}

async function readText(response: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > limit) throw new Error(`the answer has more than ${limit} bytes`);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const maxRefusalBytes = 1 << 20;

/** What the server says in its `Status`, or the beginning of what a proxy before it says. */
async function refusal(call: Call, response: IncomingMessage): Promise<ApiError> {
  const status = response.statusCode!;
  const text = await readText(response, maxRefusalBytes);
  let said: { readonly message?: unknown; readonly reason?: unknown } = {};
  try {
    said = JSON.parse(text) ?? {};
  } catch {
    said = { message: text.slice(0, 200).trim() };
  }
  const reason = typeof said.reason === 'string' && said.reason ? said.reason : (response.statusMessage ?? '');
  const seconds = Number(response.headers['retry-after']);
  return new ApiError(`${call.method} ${call.path}: ${status} ${reason}: ${String(said.message ?? '')}`, {
    status,
    reason,
    retryAfter: seconds > 0 ? seconds * 1000 : undefined,
  });
}

function explain(error: unknown, { method, path }: Call, timeout: AbortSignal): ApiError {
  if (timeout.aborted) return timeout.reason as ApiError;
  if (error instanceof ApiError) return error;
  return new ApiError(`${method} ${path}: ${error instanceof Error ? error.message : String(error)}`, {
    status: 0,
    reason: 'Unreachable',
  });
}

/** Cuts bytes into lines of bounded length. */
class LineReader {
  readonly #onLine: (line: string) => void;
  #parts: Buffer[] = [];
  #size = 0;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  read(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      this.#parts.push(chunk.subarray(start, end));
      const line = Buffer.concat(this.#parts).toString('utf8');
      this.#parts = [];
      this.#size = 0;
      start = end + 1;
      if (line) this.#onLine(line);
    }
    if (start === chunk.length) return;
    this.#parts.push(chunk.subarray(start));
    this.#size += chunk.length - start;
    if (this.#size > maxLineBytes) throw new Error(`an event has more than ${maxLineBytes} bytes`);
  }
}
