import type {
  ClientConnection,
  ClientStream,
  HeaderList,
  RequestHead,
  ResetReason,
  ResponseReceiver,
} from '../http.ts';

/**
 * An upgrade that waits for the server's SETTINGS, which say whether it takes any (RFC 8441 section 3). As with all
 * upgrades, there is nothing to write before the answer.
 */
export class AwaitedStream implements ClientStream {
  #cancelled = false;
  readonly #head: RequestHead;
  readonly #receiver: ResponseReceiver;
  #stream: ClientStream | undefined;
  #paused = false;

  constructor(head: RequestHead, receiver: ResponseReceiver) {
    this.#head = head;
    this.#receiver = receiver;
  }

  open(connection: ClientConnection): void {
    if (this.#cancelled) return;
    this.#stream = connection.request(this.#head, false, this.#receiver);
    if (this.#paused) this.#stream.pause();
  }

  refuse(): void {
    if (!this.#cancelled) this.#receiver.onReset('refused');
  }

  write(chunk: Buffer): boolean {
    return this.#stream === undefined || this.#stream.write(chunk);
  }

  end(trailers?: HeaderList): void {
    this.#stream?.end(trailers);
  }

  reset(reason: ResetReason): void {
    this.#cancelled = true;
    this.#stream?.reset(reason);
  }

  pause(): void {
    this.#paused = true;
    this.#stream?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#stream?.resume();
  }
}
