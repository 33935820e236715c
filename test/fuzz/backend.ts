import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Duplex, duplexPair } from 'node:stream';
import type { RequestHead } from '../../runtime/net/http.ts';
import { createHttp1Client } from '../../runtime/net/http1/index.ts';
import { Fetched, limits, MemoryConnection, turn } from '../net/http1/support.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** A request as somebody saw it from its head to its end. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

export interface Forwarded {
  readonly head: RequestHead;
  readonly body: string;
}

/** Reads bytes as another implementation does, in its most forgiving mood: Node's own server. */
export class Backend {
  readonly #server: Server;
  #seen: Seen[] = [];

  constructor() {
    const serve = (request: IncomingMessage, response: ServerResponse): void => {
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString('latin1');
      });
      request.on('error', () => {});
      request.on('end', () => {
        this.#seen.push({ method: request.method ?? '', path: request.url ?? '', body });
        response.end();
      });
    };
    this.#server = createServer({ insecureHTTPParser: true, keepAliveTimeout: 0 }, serve);
    this.#server.on('checkExpectation', serve);
    this.#server.on('clientError', (_error, socket: Duplex) => socket.destroy());
    this.#server.on('connect', (_request, socket: Duplex) => socket.destroy());
    this.#server.on('upgrade', (request, socket: Duplex) => {
      this.#seen.push({ method: request.method ?? '', path: request.url ?? '', body: '' });
      socket.destroy();
    });
  }

  /** The requests that it sees when these bytes come on one connection. */
  async read(bytes: string): Promise<readonly Seen[]> {
    this.#seen = [];
    const [ours, its] = duplexPair();
    its.on('error', () => {});
    ours.on('error', () => {});
    ours.resume();
    this.#server.emit('connection', its);
    ours.end(bytes, 'latin1');
    // Pipelined requests are answered one a turn.
    let before = -1;
    for (let quiet = 0; quiet < 3; quiet = before === this.#seen.length ? quiet + 1 : 0) {
      before = this.#seen.length;
      await turn();
      await turn();
    }
    its.destroy();
    ours.destroy();
    return this.#seen;
  }
}

/** What our client writes for requests that came whole, one after the other on one connection. */
export async function forward(requests: readonly Forwarded[]): Promise<{ bytes: string; sent: Seen[] }> {
  let bytes = '';
  const sent: Seen[] = [];
  for (const { head, body } of requests) {
    const connection = new MemoryConnection();
    const owner = { onCapacity() {}, onRetire() {} };
    const client = createHttp1Client(connection, owner, { limits: limits(), clock: new ManualClock() });
    const stream = client.request(
      { ...head, headers: [...head.headers] },
      body === '' || head.upgrade !== undefined,
      new Fetched(),
    );
    if (body !== '' && head.upgrade === undefined) {
      stream.write(Buffer.from(body, 'latin1'));
      stream.end();
    }
    await turn();
    client.destroy();
    if (connection.written === '') continue;
    bytes += connection.written;
    sent.push({ method: head.method, path: head.path, body: head.upgrade === undefined ? body : '' });
  }
  return { bytes, sent };
}
