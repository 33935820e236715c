import { ConnectionError, defaultWindow, ErrorCode } from './frame.ts';
import type { FrameWriter } from './frame-writer.ts';

/** How much the peer may send on a connection, all bodies together. */
export class ReceiveWindow {
  readonly #writer: FrameWriter;
  readonly #size: number;
  #left: number;
  #consumed = 0;

  constructor(writer: FrameWriter, size: number) {
    this.#writer = writer;
    this.#size = Math.max(size, defaultWindow);
    this.#left = this.#size;
  }

  /** Tells the peer of what is beyond the default. */
  announce(): void {
    if (this.#size > defaultWindow) this.#writer.windowUpdate(0, this.#size - defaultWindow);
  }

  /** Bytes of DATA frames come, padding included. */
  take(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw new ConnectionError(ErrorCode.FlowControlError, 'the connection window is exceeded');
  }

  /** Bytes were consumed: the peer may send as many again, of which it is told in large steps. */
  credit(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed * 4 < this.#size) return;
    this.#writer.windowUpdate(0, this.#consumed);
    this.#left += this.#consumed;
    this.#consumed = 0;
  }
}
