import { decodeStatusMessage, formatHostPort, type GrpcStatus, parseCallStatus, systemClock } from '../model/index.ts';
import {
  type ClientConnection,
  type ClientStream,
  ConnectionPool,
  connect,
  createHttp2Client,
  defaultHttpLimits,
  type HeaderList,
  type PeerExpectation,
  type PoolWaiter,
  type ResetReason,
  type ResponseHead,
  type ResponseReceiver,
} from '../net/index.ts';
import { frameMessage, MessageReader } from './message-reader.ts';

/** How a call ended that did not succeed. */
export class GrpcError extends Error {
  readonly status: GrpcStatus;
  /** What the server said, or what went wrong here. */
  readonly reason: string;

  constructor(status: GrpcStatus, reason: string, cause?: Error) {
    super(`[${status.toLowerCase()}] ${reason}`, { cause });
    this.status = status;
    this.reason = reason;
  }
}

/** Gets what a server sends in a call. After `onEnd` nothing more comes. */
export interface CallReceiver {
  /** `message` is valid during the call only. */
  onMessage(message: Buffer): void;
  onEnd(error: GrpcError | undefined): void;
}

/** The client's side of a call. */
export interface GrpcStream {
  /** What the server does not take yet waits in memory. */
  send(message: Uint8Array): void;
  end(): void;
  /** Gives the call up; the receiver hears nothing more. */
  cancel(): void;
}

export interface GrpcChannelOptions {
  readonly host: string;
  readonly port: number;
  readonly peer: PeerExpectation;
}

const connectTimeout = 10_000;
const keepalive = { interval: 10_000, timeout: 5_000 };
/** Calls may be silent as long as they like: whether the peer is there is asked of the connection. */
const limits = { ...defaultHttpLimits, streamIdleTimeout: 2 ** 31 - 1 };
const maxCalls = 100;
/** Bytes of one message. */
const maxMessage = 128 * 2 ** 20;

/** Calls of gRPC to one server over one connection, which is made when it is first needed. */
export class GrpcChannel {
  readonly #pool: ConnectionPool;
  readonly #authority: string;

  constructor({ host, port, peer }: GrpcChannelOptions) {
    const clock = systemClock;
    this.#authority = formatHostPort({ host, port });
    this.#pool = new ConnectionPool({
      maxConnections: 1,
      maxPending: maxCalls,
      expectedCapacity: maxCalls,
      connect: (callback) => connect({ host, port, peer, timeout: connectTimeout, clock }, callback),
      speak: (connection, owner) => createHttp2Client(connection, owner, { limits, clock, keepalive }),
    });
  }

  /** One message there, one back. `timeout` in milliseconds. */
  unary(path: string, message: Uint8Array, headers: HeaderList, timeout: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      let answer: Buffer | undefined;
      const call = this.open(path, [...headers, 'grpc-timeout', `${timeout}m`], {
        onMessage(received) {
          answer = Buffer.from(received);
        },
        onEnd(error) {
          timer.cancel();
          if (error) reject(error);
          else if (answer) resolve(answer);
          else reject(new GrpcError('INTERNAL', 'the server sent no message'));
        },
      });
      const timer = systemClock.schedule(timeout, () => {
        call.cancel();
        reject(new GrpcError('DEADLINE_EXCEEDED', `no answer within ${timeout} ms`));
      });
      call.send(message);
      call.end();
    });
  }

  /** A call of which both sides send messages as they like. `path` is `/package.Service/Method`. */
  open(path: string, headers: HeaderList, receiver: CallReceiver): GrpcStream {
    const call = new Call(this.#pool, this.#authority, path, headers, receiver);
    // Whoever calls has the call in hand before it hears of its end.
    queueMicrotask(() => call.start());
    return call;
  }

  /** Ends the connection and every call on it. */
  close(): void {
    this.#pool.destroy();
  }
}

class Call implements GrpcStream, PoolWaiter, ResponseReceiver {
  readonly #pool: ConnectionPool;
  readonly #authority: string;
  readonly #path: string;
  readonly #headers: HeaderList;
  readonly #receiver: CallReceiver;
  readonly #reader = new MessageReader(maxMessage, (message) => this.#receiver.onMessage(message));
  #stream: ClientStream | undefined;
  /** What waits for a connection. */
  #unsent: Buffer[] = [];
  #finished = false;
  #over = false;

  constructor(pool: ConnectionPool, authority: string, path: string, headers: HeaderList, receiver: CallReceiver) {
    this.#pool = pool;
    this.#authority = authority;
    this.#path = path;
    this.#headers = headers;
    this.#receiver = receiver;
  }

  start(): void {
    if (!this.#over) this.#pool.acquire(this);
  }

  send(message: Uint8Array): void {
    if (this.#over || this.#finished) return;
    const framed = frameMessage(message);
    if (this.#stream) this.#stream.write(framed);
    else this.#unsent.push(framed);
  }

  end(): void {
    if (this.#over) return;
    this.#finished = true;
    this.#stream?.end();
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#stream) this.#stream.reset('cancelled');
    else this.#pool.forget(this);
  }

  onConnection(connection: ClientConnection): void {
    const head = {
      method: 'POST',
      scheme: 'https' as const,
      authority: this.#authority,
      path: this.#path,
      headers: ['content-type', 'application/grpc', 'te', 'trailers', ...this.#headers],
    };
    const stream = connection.request(head, false, this);
    this.#stream = stream;
    for (const message of this.#unsent.splice(0)) stream.write(message);
    if (this.#finished) stream.end();
  }

  onUnavailable(error: Error): void {
    this.#end(new GrpcError('UNAVAILABLE', error.message, error));
  }

  onInformational(): void {}

  onResponse({ status, headers }: ResponseHead, end: boolean): void {
    if (status !== 200 || !fieldOf(headers, 'content-type')?.startsWith('application/grpc')) {
      this.#fail('UNAVAILABLE', `the server answers with HTTP status ${status}, not by gRPC`);
    } else if (end) {
      this.#onStatus(headers);
    }
  }

  onData(chunk: Buffer): void {
    if (this.#over) return;
    try {
      this.#reader.add(chunk);
    } catch (error) {
      this.#fail('INTERNAL', (error as Error).message);
    }
  }

  onEnd(trailers: HeaderList | undefined): void {
    this.#onStatus(trailers ?? []);
  }

  onDrain(): void {}

  onReset(reason: ResetReason): void {
    this.#end(new GrpcError('UNAVAILABLE', `the call broke off (${reason})`));
  }

  #onStatus(fields: HeaderList): void {
    const status = parseCallStatus(fieldOf(fields, 'grpc-status'));
    if (status !== 'OK') {
      this.#end(new GrpcError(status, decodeStatusMessage(fieldOf(fields, 'grpc-message') ?? 'no reason given')));
    } else if (this.#reader.incomplete) {
      this.#end(new GrpcError('UNKNOWN', 'the call ended in the middle of a message'));
    } else {
      this.#end(undefined);
    }
  }

  #fail(status: GrpcStatus, message: string): void {
    this.#stream?.reset('cancelled');
    this.#end(new GrpcError(status, message));
  }

  #end(error: GrpcError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    // The server is through; what it did not read of ours is of no use.
    if (!this.#finished) this.#stream?.reset('cancelled');
    this.#receiver.onEnd(error);
  }
}

function fieldOf(fields: HeaderList, name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
  return undefined;
}
