import { connect, createServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../../runtime/model/index.ts';
import { systemClock } from '../../../runtime/model/index.ts';
import type { Http2ClientOptions } from '../../../runtime/net/http2/index.ts';
import { createHttp2Client, createHttp2Server, type Http2Options } from '../../../runtime/net/http2/index.ts';
import {
  type ClientConnection,
  type Connection,
  type ConnectionHandler,
  defaultHttpLimits,
  type HeaderList,
  type HttpLimits,
  type Lender,
  type RequestHead,
  type RequestReceiver,
  type ResetReason,
  type ResponseHead,
  type ResponseReceiver,
  type ServerConnection,
  type ServerStream,
  socketConnection,
} from '../../../runtime/net/index.ts';
import { listening } from '../../support/listening.ts';
import { borrow, lend, strict } from '../../support/strict-connection.ts';

export function options(limits: Partial<HttpLimits> = {}, clock: Clock = systemClock): Http2Options {
  return { limits: { ...defaultHttpLimits, ...limits }, clock };
}

/** Waits for what must become true soon. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 25_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`did not come true: ${condition}`);
    await nextTurn();
  }
}

/** Collects a message. */
class Body {
  chunks: Buffer[] = [];
  trailers: HeaderList | undefined;
  ended = false;
  resetReason: ResetReason | undefined;
  drains = 0;

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  get bytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  get over(): boolean {
    return this.ended || this.resetReason !== undefined;
  }

  onData(chunk: Buffer): void {
    this.chunks.push(Buffer.from(chunk));
  }

  onEnd(trailers: HeaderList | undefined): void {
    this.trailers = trailers;
    this.ended = true;
  }

  onReset(reason: ResetReason): void {
    this.resetReason = reason;
  }

  onDrain(): void {
    this.drains++;
  }
}

export class RecordedResponse extends Body implements ResponseReceiver {
  informational: ResponseHead[] = [];
  head: ResponseHead | undefined;

  onInformational(head: ResponseHead): void {
    this.informational.push(head);
  }

  onResponse(head: ResponseHead, end: boolean): void {
    this.head = head;
    this.ended = end;
  }
}

/** A request as the server sees it, with the stream to answer it on. */
export class RecordedRequest extends Body implements RequestReceiver {
  readonly head: RequestHead;
  readonly stream: ServerStream;

  constructor(head: RequestHead, stream: ServerStream, end: boolean) {
    super();
    this.head = head;
    this.stream = stream;
    this.ended = end;
  }

  answer(status: number, body = '', headers: HeaderList = [], trailers?: HeaderList): void {
    this.stream.respond({ status, headers }, false);
    if (body) this.stream.write(Buffer.from(body, 'latin1'));
    this.stream.end(trailers);
  }
}

export interface RunningServer {
  readonly port: number;
  readonly requests: RecordedRequest[];
  readonly connections: ServerConnection[];
}

const cleanups: (() => void)[] = [];

/** Ends what a test has opened; for `afterEach`. */
export function closeAll(): void {
  for (const cleanup of cleanups.splice(0)) cleanup();
}

export function onCleanup(cleanup: () => void): void {
  cleanups.push(cleanup);
}

export async function listen(accept: (socket: Socket) => void): Promise<number> {
  const { port, close } = await listening(createServer({ allowHalfOpen: true, noDelay: true }, accept));
  cleanups.push(() => void close());
  return port;
}

/** Our server. `onRequest` sees each request once; what it gets is in `requests` too. */
export async function serve(
  onRequest: (request: RecordedRequest) => void = () => {},
  http2: Http2Options = options(),
): Promise<RunningServer> {
  const requests: RecordedRequest[] = [];
  const connections: ServerConnection[] = [];
  const port = await listen((socket) => {
    const connection = strict(socketConnection(socket));
    const handler = {
      onRequest(head: RequestHead, stream: ServerStream, end: boolean) {
        const request = new RecordedRequest(head, stream, end);
        requests.push(request);
        onRequest(request);
        return request;
      },
    };
    connections.push(createHttp2Server(connection, handler, http2));
  });
  return { port, requests, connections };
}

export async function openSocket(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  socket.on('error', () => {});
  cleanups.push(() => socket.destroy());
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  return socket;
}

/** A connection whose other end is the test: what was written is in `written`, what arrives is to be given to {@link receive}. */
export class MemoryConnection implements Connection {
  handler!: ConnectionHandler;
  readonly peerIdentity = undefined;
  readonly remoteAddress = 'memory';
  written: Buffer[] = [];
  writable = true;
  paused = false;
  ended = false;

  write(data: Buffer | string, lender?: Lender): boolean {
    this.written.push(borrow(data as Buffer, lender));
    return this.writable;
  }

  receive(chunk: Buffer): void {
    lend(chunk, (lent) => this.handler.onData(lent));
  }

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.ended = true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}

export interface OpenClient {
  readonly connection: ClientConnection;
  /** What the owner heard. */
  readonly events: string[];
}

/** Our client. */
export async function openClient(port: number, http2: Http2ClientOptions = options()): Promise<OpenClient> {
  const events: string[] = [];
  const owner = {
    onCapacity: (connection: ClientConnection) => void events.push(`capacity ${connection.capacity}`),
    onRetire: () => void events.push('retire'),
  };
  return { connection: createHttp2Client(strict(socketConnection(await openSocket(port))), owner, http2), events };
}

export function get(path: string, headers: HeaderList = []): RequestHead {
  return { method: 'GET', scheme: 'http', authority: 'reviews.shop:9080', path, headers };
}

export function post(path: string, headers: HeaderList = []): RequestHead {
  return { ...get(path, headers), method: 'POST' };
}

/** The value of the first field with this name. */
export function fieldValue(headers: HeaderList, name: string): string | undefined {
  const at = headers.findIndex((text, index) => index % 2 === 0 && text === name);
  return at < 0 ? undefined : headers[at + 1];
}
