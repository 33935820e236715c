import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import type { Lender } from './connection.ts';
import { heldMemory } from './held-bytes.ts';

/** Who has more bytes than this wait for a socket is told to wait, as by Node's own streams. */
const highWaterMark = 65_536;
/** TLS never takes a write at once: what one turn of the event loop writes waits for the next, and must not count. */
const tlsHighWaterMark = 524_288;
/** Node copies several buffers into new memory before it encrypts them: such large ones go one by one. */
const largeWrite = 65_536;

/** Up to this size, what is lent is copied where it has to wait. */
const smallChunk = 4096;

/** Writes to an open socket. */
export interface SocketWriter {
  /** Returns false when the peer reads too slowly: `onDrain` is called when all was taken. Strings are latin1. */
  write(data: Buffer | string, lender?: Lender): boolean;
  /** Ends our side after what was written. */
  end(): void;
  /** The socket is closed: it reads nothing any more of what it was lent. */
  closed(): void;
}

/** One write, as Node's native streams know it. */
interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void;
  writer: DirectWriter;
  /** Must not be collected before the write has ended. */
  data: Chunk | readonly Chunk[] | undefined;
}

type Chunk = Buffer | string;

/** The native part of a socket. Each method returns 0 or an error of libuv. */
interface StreamHandle {
  writeBuffer(request: WriteRequest, data: Buffer): number;
  writeLatin1String(request: WriteRequest, data: string): number;
  /** Buffers only, or `[string, encoding, …]` as well. */
  writev(request: WriteRequest, chunks: readonly unknown[], onlyBuffers: boolean): number;
}

interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  readonly streamBaseState: Int32Array;
  readonly kLastWriteWasAsync: number;
}

const binding = findBinding();

/** Absent in a Node that has it no more: writing is slower then. */
function findBinding(): StreamBinding | undefined {
  try {
    const { binding: find } = process as unknown as { binding?: (name: string) => Partial<StreamBinding> };
    const found = find?.('stream_wrap');
    const complete = found?.WriteWrap && found.streamBaseState && found.kLastWriteWasAsync !== undefined;
    return complete ? (found as StreamBinding) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Writes to the native part of a socket: the queue of a stream, with its callbacks and ticks, costs more than the proxy
 * spends on most of what it writes. Owns all writing to the socket from now on; {@link StreamWriter} does it as Node would.
 */
export function socketWriter(socket: Socket, onDrain: () => void): SocketWriter {
  const { _handle: handle } = socket as unknown as { readonly _handle: Partial<StreamHandle> | null };
  const isDirect = binding && handle?.writeBuffer && handle.writeLatin1String && handle.writev;
  return isDirect && socket.writableLength === 0
    ? new DirectWriter(socket, handle as StreamHandle, binding, onDrain)
    : new StreamWriter(socket, onDrain);
}

class StreamWriter implements SocketWriter {
  readonly #socket: Socket;

  constructor(socket: Socket, onDrain: () => void) {
    this.#socket = socket;
    socket.on('drain', onDrain);
  }

  write(data: Chunk, lender?: Lender): boolean {
    if (typeof data === 'string') return this.#socket.write(data, 'latin1');
    // Called with an error, too, when what was written is not needed any more.
    return this.#socket.write(data, lender && (() => lender.release()));
  }

  end(): void {
    this.#socket.end();
  }

  closed(): void {}
}

class DirectWriter implements SocketWriter {
  readonly #socket: Socket;
  readonly #handle: StreamHandle;
  readonly #binding: StreamBinding;
  readonly #onDrain: () => void;
  /** TLS encrypts a write, or copies it, before it returns. */
  readonly #encrypts: boolean;
  /** For the next write. */
  #spare: WriteRequest | undefined;
  /** The last that did not end at once: Node needs it until its callback is over, and would abort the process. */
  #resting: WriteRequest | undefined;
  #writing = false;
  /** What waits for the write that has not ended. */
  #queue: Chunk[] = [];
  /** One for each chunk that is being written, and that waits. */
  #lenders: (Lender | undefined)[] = [];
  #waitingLenders: (Lender | undefined)[] = [];
  /** Bytes not taken yet, and those of them that are being written. */
  #pending = 0;
  #written = 0;
  #blocked = false;
  #ending = false;

  constructor(socket: Socket, handle: StreamHandle, native: StreamBinding, onDrain: () => void) {
    this.#socket = socket;
    this.#handle = handle;
    this.#binding = native;
    this.#onDrain = onDrain;
    this.#encrypts = socket instanceof TLSSocket;
  }

  write(data: Chunk, lender?: Lender): boolean {
    if (data.length === 0 || this.#socket.destroyed) {
      lender?.release();
      return true;
    }
    if (this.#writing) this.#enqueue(data, lender);
    else {
      this.#lenders.push(lender);
      if (!this.#give(data)) return true;
      this.#written = data.length;
    }
    this.#wait(data.length);
    if (this.#pending >= (this.#encrypts ? tlsHighWaterMark : highWaterMark)) this.#blocked = true;
    return !this.#blocked;
  }

  end(): void {
    if (this.#writing) this.#ending = true;
    else this.#socket.end();
  }

  closed(): void {
    this.#release();
    for (const lender of this.#waitingLenders) lender?.release();
    this.#waitingLenders.length = 0;
    this.#wait(-this.#pending);
  }

  ended(request: WriteRequest, status: number): void {
    this.#writing = false;
    request.data = undefined;
    if (this.#socket.destroyed) return;
    if (status < 0) {
      this.#fail(status);
      return;
    }
    this.#release();
    this.#spare ??= this.#resting;
    this.#resting = request;
    this.#wait(-this.#written);
    this.#written = 0;
    if (this.#queue.length > 0) {
      const next = this.#takeWaiting();
      let bytes = 0;
      for (const chunk of next) bytes += chunk.length;
      if (this.#giveAll(next)) this.#written = bytes;
      else this.#wait(-bytes);
    }
    if (this.#ending && !this.#writing) this.#socket.end();
    if (!this.#blocked || (this.#encrypts ? this.#pending >= tlsHighWaterMark / 2 : this.#writing)) return;
    this.#blocked = false;
    this.#onDrain();
  }

  #wait(bytes: number): void {
    this.#pending += bytes;
    heldMemory.bytes += bytes;
  }

  /** What of the queue is written next. */
  #takeWaiting(): readonly Chunk[] {
    const queue = this.#queue;
    if (this.#encrypts && queue[0].length >= largeWrite) {
      this.#lenders.push(this.#waitingLenders.shift());
      return [queue.shift()!];
    }
    this.#queue = [];
    [this.#lenders, this.#waitingLenders] = [this.#waitingLenders, this.#lenders];
    return queue;
  }

  /** What waits may do so for long: a few bytes must not keep a large buffer meanwhile. */
  #enqueue(data: Chunk, lender: Lender | undefined): void {
    const isSmall = lender !== undefined && typeof data !== 'string' && data.length <= smallChunk;
    this.#queue.push(isSmall ? Buffer.from(data) : data);
    this.#waitingLenders.push(isSmall ? undefined : lender);
    if (isSmall) lender.release();
  }

  /** Whether the write goes on after this; TLS never takes all at once. */
  #give(data: Chunk): boolean {
    const request = this.#request();
    const status =
      typeof data === 'string'
        ? this.#handle.writeLatin1String(request, data)
        : this.#handle.writeBuffer(request, data);
    return this.#given(request, data, status);
  }

  #giveAll(chunks: readonly Chunk[]): boolean {
    if (chunks.length === 1) return this.#give(chunks[0]);
    const request = this.#request();
    const onlyBuffers = chunks.every((chunk) => typeof chunk !== 'string');
    const list = onlyBuffers ? chunks : chunks.flatMap((chunk) => [chunk, 'latin1']);
    return this.#given(request, chunks, this.#handle.writev(request, list, onlyBuffers));
  }

  #request(): WriteRequest {
    const spare = this.#spare;
    if (spare) {
      this.#spare = undefined;
      return spare;
    }
    const request = new this.#binding.WriteWrap();
    request.oncomplete = onComplete;
    request.writer = this;
    return request;
  }

  #given(request: WriteRequest, data: WriteRequest['data'], status: number): boolean {
    if (status !== 0) {
      this.#fail(status);
      return false;
    }
    if (this.#binding.streamBaseState[this.#binding.kLastWriteWasAsync] === 0) {
      this.#spare = request;
      this.#release();
      return false;
    }
    if (this.#encrypts) this.#release();
    else request.data = data;
    this.#writing = true;
    return true;
  }

  #release(): void {
    for (const lender of this.#lenders) lender?.release();
    this.#lenders.length = 0;
  }

  #fail(status: number): void {
    const code = getSystemErrorName(status);
    const error = new Error(`write ${code}: ${getSystemErrorMessage(status)}`);
    this.#socket.destroy(Object.assign(error, { code, errno: status, syscall: 'write' }));
  }
}

function onComplete(this: WriteRequest, status: number): void {
  this.writer.ended(this, status);
}
