import { connect, createServer, type Socket } from 'node:net';
import { systemClock } from '../../../runtime/model/index.ts';
import type { Connection, ConnectionHandler, Lender } from '../../../runtime/net/connection.ts';
import {
  defaultHttpLimits,
  type HeaderList,
  type HttpLimits,
  type RequestHead,
  type RequestReceiver,
  type ResetReason,
  type ResponseHead,
  type ResponseReceiver,
  type ServerConnection,
  type ServerStream,
} from '../../../runtime/net/http.ts';
import { createHttp1Server, type Http1ServerHandler } from '../../../runtime/net/http1/index.ts';
import { type Listener, listenPlain } from '../../../runtime/net/listener.ts';
import { type Listening, listening } from '../../support/listening.ts';
import { borrow, strict } from '../../support/strict-connection.ts';

const unattended: ConnectionHandler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };

/** A connection without a kernel: the test plays the peer. */
export class MemoryConnection implements Connection {
  handler: ConnectionHandler = unattended;
  readonly peerIdentity = undefined;
  readonly remoteAddress = 'memory';
  readonly writes: (Buffer | string)[] = [];
  ended = false;
  destroyed = false;
  paused = false;
  /** What `write` answers. */
  takesMore = true;

  get written(): string {
    return this.writes.map((each) => each.toString('latin1')).join('');
  }

  write(data: Buffer | string, lender?: Lender): boolean {
    this.writes.push(typeof data === 'string' ? data : borrow(data, lender));
    return this.takesMore;
  }

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.destroyed = true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  /** Like a kernel that reuses its read buffer. */
  receive(text: string): void {
    const chunk = Buffer.from(text, 'latin1');
    this.handler.onData(chunk);
    chunk.fill(0);
  }
}

/** What the codec writes in one turn of the event loop leaves after it. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** One direction of an exchange, as who receives it saw it. */
abstract class Received {
  body = '';
  chunks = 0;
  trailers: HeaderList | undefined;
  ended = false;
  reset: ResetReason | undefined;
  drains = 0;
  readonly done: Promise<this>;
  #settle: () => void = () => {};

  constructor() {
    this.done = new Promise((resolve) => {
      this.#settle = () => resolve(this);
    });
  }

  onData(chunk: Buffer): void {
    this.chunks++;
    this.body += chunk.toString('latin1');
  }

  onEnd(trailers: HeaderList | undefined): void {
    this.ended = true;
    this.trailers = trailers;
    this.#settle();
  }

  onReset(reason: ResetReason): void {
    this.reset = reason;
    this.#settle();
  }

  onDrain(): void {
    this.drains++;
  }
}

/** A server's side of one exchange, as the handler saw it. */
export class Served extends Received implements RequestReceiver {
  readonly head: RequestHead;
  readonly stream: ServerStream;

  constructor(head: RequestHead, stream: ServerStream, end: boolean) {
    super();
    this.head = head;
    this.stream = stream;
    if (end) this.onEnd(undefined);
  }

  reply(status: number, headers: HeaderList, body: string): void {
    this.stream.respond({ status, headers }, body === '');
    if (body === '') return;
    this.stream.write(Buffer.from(body, 'latin1'));
    this.stream.end();
  }
}

/** Keeps every request; `onServed` may answer at once or later. */
export class RecordingHandler implements Http1ServerHandler {
  readonly served: Served[] = [];
  onConnect?: Http1ServerHandler['onConnect'];
  onHttp2?: Http1ServerHandler['onHttp2'];
  readonly #onServed: (served: Served) => void;

  constructor(onServed: (served: Served) => void = () => {}) {
    this.#onServed = onServed;
  }

  onRequest(head: RequestHead, stream: ServerStream, end: boolean): RequestReceiver {
    const served = new Served(head, stream, end);
    this.served.push(served);
    this.#onServed(served);
    return served;
  }
}

/** A client's side of one exchange, as the caller saw it. */
export class Fetched extends Received implements ResponseReceiver {
  readonly informational: ResponseHead[] = [];
  head: ResponseHead | undefined;

  onInformational(head: ResponseHead): void {
    this.informational.push(head);
  }

  onResponse(head: ResponseHead, end: boolean): void {
    this.head = head;
    if (end) this.onEnd(undefined);
  }
}

export function limits(change: Partial<HttpLimits> = {}): HttpLimits {
  return { ...defaultHttpLimits, ...change };
}

export interface TestServer {
  readonly port: number;
  readonly connections: ServerConnection[];
  close(): void;
}

/** Our server on a real socket. */
export async function serve(handler: Http1ServerHandler, change: Partial<HttpLimits> = {}): Promise<TestServer> {
  const connections: ServerConnection[] = [];
  const listener: Listener = await listenPlain(
    { host: '127.0.0.1', port: 0, maxConnections: 100, clock: systemClock },
    ({ connection }) => {
      connections.push(
        createHttp1Server(strict(connection), handler, { limits: limits(change), clock: systemClock, scheme: 'http' }),
      );
    },
  );
  return {
    port: listener.address.port,
    connections,
    close() {
      listener.close();
      for (const connection of connections) connection.destroy();
    },
  };
}

/** Sends bytes on a connection of its own and gathers the answer until the peer closes. */
export function rawExchange(port: number, parts: string | readonly string[], halfClose = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    let answer = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.on('end', () => {
      socket.end();
      resolve(answer);
    });
    socket.on('error', reject);
    for (const part of typeof parts === 'string' ? [parts] : parts) socket.write(part, 'latin1');
    if (halfClose) socket.end();
  });
}

/** A peer that plays a server by hand. */
export const listenRaw = (onSocket: (socket: Socket) => void): Promise<Listening> =>
  listening(createServer({ allowHalfOpen: true, noDelay: true }, onSocket));
