import { HeldBytes } from '../held-bytes.ts';
import type { HeaderList, RequestReceiver, ResetReason, Stream } from '../http.ts';
import { ErrorCode } from './frame.ts';
import { type Outflow, SendQueue, type SendQueueOwner } from './outflow.ts';

/** What a stream needs of its connection. */
export interface StreamOwner {
  readonly outflow: Outflow;
  /** Receive window of each stream. */
  readonly streamWindow: number;
  /** Counts up while streams are open; see {@link Http2Stream.progress}. */
  readonly tick: number;
  /** Body bytes were sent. */
  onSent(bytes: number): void;
  /** Body bytes were consumed: the peer may send as many again on this connection. */
  credit(bytes: number): void;
  /** Sends RST_STREAM and forgets the stream. */
  resetStream(stream: Http2Stream, code: number): void;
  /** Both sides have ended. */
  onStreamEnd(stream: Http2Stream): void;
}

/** What both sides of an exchange have in common: bodies, flow control and the end. */
export abstract class Http2Stream implements Stream, SendQueueOwner {
  readonly id: number;
  readonly sending: SendQueue;
  /** Tick of the last byte in either direction. */
  progress: number;
  localEnded = false;
  remoteEnded = false;
  /** The head that a body belongs to has come. */
  headReceived = true;
  /** Carries another protocol after an upgrade: silence is no fault. */
  tunnel = false;
  protected receiver: RequestReceiver | undefined;
  /** Reset by either side: nothing is called and nothing is sent any more. */
  protected dead = false;
  protected readonly owner: StreamOwner;
  #paused = false;
  /** What came while its reader paused. */
  #held: HeldBytes | undefined;
  /** The end waits behind what is held. */
  #endHeld = false;
  #trailers: HeaderList | undefined;
  #window: number;
  /** Consumed bytes that the peer was not told of. */
  #consumed = 0;
  /** Body bytes that `content-length` promises yet; -1 when it promises nothing. */
  #promised = -1;

  constructor(id: number, owner: StreamOwner, sendWindow: number) {
    this.id = id;
    this.owner = owner;
    this.sending = new SendQueue(this, owner.outflow, sendWindow);
    this.progress = owner.tick;
    this.#window = owner.streamWindow;
  }

  write(chunk: Buffer): boolean {
    return this.dead || this.sending.write(chunk);
  }

  end(trailers?: HeaderList): void {
    if (!this.dead) this.sending.end(trailers);
  }

  reset(reason: ResetReason): void {
    if (this.dead) return;
    const open = !this.localEnded || !this.remoteEnded;
    this.#die();
    if (open) this.owner.resetStream(this, this.resetCode(reason));
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#deliverHeld();
    this.#replenish();
  }

  onSent(bytes: number): void {
    this.progress = this.owner.tick;
    this.owner.onSent(bytes);
  }

  onSendable(): void {
    if (!this.dead) this.receiver?.onDrain();
  }

  onSendEnd(): void {
    this.localEnded = true;
    if (this.remoteEnded) this.owner.onStreamEnd(this);
  }

  /** The body will have this many bytes. */
  promise(length: number): void {
    this.#promised = length;
  }

  /** A DATA frame begins. False when the peer had no window left for it. */
  receiveStart(length: number, padding: number): boolean {
    this.progress = this.owner.tick;
    this.#window -= length + padding;
    this.#consumed += padding;
    return this.#window >= 0;
  }

  /** Takes a part of the body; false when it is more than was promised. */
  receive(chunk: Buffer): boolean {
    if (this.dead) {
      this.owner.credit(chunk.length);
      return true;
    }
    if (this.#promised >= 0) {
      this.#promised -= chunk.length;
      if (this.#promised < 0) return false;
    }
    if (this.#paused || this.#held) {
      this.#held ??= new HeldBytes();
      this.#held.add(chunk);
    } else {
      this.#deliver(chunk);
    }
    return true;
  }

  /** END_STREAM came; false when the body is shorter than was promised. */
  receiveEnd(trailers: HeaderList | undefined): boolean {
    if (this.#promised > 0) return false;
    this.progress = this.owner.tick;
    this.remoteEnded = true;
    if (this.#paused || this.#held) {
      this.#endHeld = true;
      this.#trailers = trailers;
    } else if (!this.dead) {
      this.receiver?.onEnd(trailers);
    }
    if (this.localEnded) this.owner.onStreamEnd(this);
    return true;
  }

  /** The peer sent RST_STREAM. */
  onReset(code: number): void {
    this.abort(reasonOf(code));
  }

  /** The exchange ends early, and not because we asked for it. */
  abort(reason: ResetReason): void {
    if (this.dead) return;
    this.#die();
    this.receiver?.onReset(reason);
  }

  protected resetCode(reason: ResetReason): number {
    switch (reason) {
      case 'refused':
        return ErrorCode.RefusedStream;
      case 'cancelled':
        return ErrorCode.Cancel;
      case 'protocol':
        return ErrorCode.ProtocolError;
      default:
        return ErrorCode.InternalError;
    }
  }

  #die(): void {
    this.dead = true;
    this.sending.clear();
    if (!this.#held) return;
    this.owner.credit(this.#held.length);
    this.#held.clear();
    this.#held = undefined;
  }

  #deliver(chunk: Buffer): void {
    this.receiver?.onData(chunk);
    this.owner.credit(chunk.length);
    this.#consumed += chunk.length;
    this.#replenish();
  }

  #deliverHeld(): void {
    while (this.#held && !this.#paused) {
      const page = this.#held.shift();
      if (page) {
        this.#deliver(page.view);
        page.free();
      }
      if (this.#held?.length === 0) this.#held = undefined;
    }
    if (this.dead || this.#paused || !this.#endHeld) return;
    this.#endHeld = false;
    this.receiver?.onEnd(this.#trailers);
  }

  /** Tells the peer of consumed bytes, in large steps. */
  #replenish(): void {
    if (this.#paused || this.dead || this.remoteEnded || this.#consumed * 2 < this.owner.streamWindow) return;
    this.owner.outflow.writer.windowUpdate(this.id, this.#consumed);
    this.#window += this.#consumed;
    this.#consumed = 0;
  }
}

function reasonOf(code: number): ResetReason {
  switch (code) {
    case ErrorCode.RefusedStream:
      return 'refused';
    case ErrorCode.Cancel:
    case ErrorCode.NoError:
      return 'cancelled';
    case ErrorCode.InternalError:
      return 'internal';
    default:
      return 'reset';
  }
}
