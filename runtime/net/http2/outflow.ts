import { HeldBytes } from '../held-bytes.ts';
import type { HeaderList } from '../http.ts';
import { defaultWindow, maxWindow } from './frame.ts';
import type { FrameWriter } from './frame-writer.ts';

/** Body bytes that leave in one turn of the event loop; what is beyond waits in the queues of its streams. */
const turnLimit = 262_144;
/** Body bytes a stream may send before the next one has its turn. */
const fairShare = 32_768;

/** Sending side of a connection's flow control: divides the window among the streams, in turn. */
export class Outflow {
  readonly writer: FrameWriter;
  window = defaultWindow;
  #blocked = false;
  #waiting: SendQueue[] = [];

  constructor(writer: FrameWriter) {
    this.writer = writer;
  }

  /** Nobody waits, so that whoever comes may send at once. */
  get idle(): boolean {
    return this.#waiting.length === 0;
  }

  /** The peer does not read: nothing is granted until {@link unblock}. */
  block(): void {
    this.#blocked = true;
  }

  unblock(): void {
    this.#blocked = false;
    this.pump();
  }

  /** Bytes that may go into one DATA frame now. */
  grant(wanted: number): number {
    if (this.#blocked || this.writer.pending >= turnLimit) return 0;
    return Math.min(wanted, this.window, this.writer.dataRoom);
  }

  /** Adds to the connection's window. False when it overflows. */
  widen(increment: number): boolean {
    this.window += increment;
    this.pump();
    return this.window <= maxWindow;
  }

  schedule(queue: SendQueue): void {
    if (queue.scheduled) return;
    queue.scheduled = true;
    this.#waiting.push(queue);
  }

  /** Lets waiting streams send, as far as windows and the peer allow. */
  pump(): void {
    while (this.#waiting.length > 0 && this.grant(1) > 0) {
      const queue = this.#waiting.shift()!;
      queue.scheduled = false;
      queue.sendShare(fairShare);
    }
  }
}

/** Hears what became of the bytes in a {@link SendQueue}. */
export interface SendQueueOwner {
  readonly id: number;
  onSent(bytes: number): void;
  /** The queue is empty again. */
  onSendable(): void;
  /** END_STREAM went out. */
  onSendEnd(): void;
}

/** What a stream has yet to send. */
export class SendQueue {
  scheduled = false;
  window: number;
  readonly #owner: SendQueueOwner;
  readonly #outflow: Outflow;
  #held: HeldBytes | undefined;
  #ending = false;
  #trailers: HeaderList | undefined;

  constructor(owner: SendQueueOwner, outflow: Outflow, window: number) {
    this.#owner = owner;
    this.#outflow = outflow;
    this.window = window;
  }

  /** False when a part has to wait: that is copied. */
  write(chunk: Buffer): boolean {
    if (this.#ending) return true;
    let sent = 0;
    if (!this.#held && this.#outflow.idle) {
      sent = this.#send(chunk, 0, chunk.length);
      if (sent > 0) this.#owner.onSent(sent);
    }
    if (sent === chunk.length) return !this.#held;
    this.#held ??= new HeldBytes();
    this.#held.add(chunk, sent);
    if (this.window > 0) this.#outflow.schedule(this);
    return false;
  }

  end(trailers: HeaderList | undefined): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#trailers = trailers;
    if (!this.#held) this.#finish();
  }

  /** Changes the stream's window. False when it overflows. */
  widen(increment: number): boolean {
    this.window += increment;
    if (this.window > 0 && this.#held) {
      this.#outflow.schedule(this);
      this.#outflow.pump();
    }
    return this.window <= maxWindow;
  }

  /** Drops what waits and takes no more. */
  clear(): void {
    this.#held?.clear();
    this.#held = undefined;
    this.#ending = true;
  }

  /** Sends up to `share` bytes, and lines up again if there is more. */
  sendShare(share: number): void {
    const held = this.#held;
    let left = share;
    for (let page = held?.first; held && page && left > 0; page = held.first) {
      const sent = this.#send(page.bytes, page.start, Math.min(page.end, page.start + left));
      if (sent === 0) break;
      left -= sent;
      held.skip(sent);
    }
    if (held?.length === 0) this.#held = undefined;
    if (left < share) this.#owner.onSent(share - left);
    if (this.#held) {
      if (this.window > 0) this.#outflow.schedule(this);
    } else if (left < share) {
      if (this.#ending) this.#finish();
      else this.#owner.onSendable();
    }
  }

  /** Writes frames while it is granted any; returns how many bytes went. */
  #send(chunk: Buffer, start: number, end: number): number {
    const { writer } = this.#outflow;
    let at = start;
    while (at < end) {
      const size = Math.min(this.#outflow.grant(end - at), this.window);
      if (size <= 0) break;
      writer.data(this.#owner.id, chunk, at, at + size);
      this.window -= size;
      this.#outflow.window -= size;
      at += size;
    }
    return at - start;
  }

  #finish(): void {
    const { writer } = this.#outflow;
    if (this.#trailers) writer.headers(this.#owner.id, [], this.#trailers, true);
    else writer.endStream(this.#owner.id);
    this.#owner.onSendEnd();
  }
}
