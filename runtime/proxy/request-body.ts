import { type ClientStream, type HeaderList, HeldBytes } from '../net/index.ts';

/** The request's body on its way: kept while it is small enough to be sent again. */
export class RequestBody {
  /** Bytes that came. */
  received = 0;
  ended: boolean;
  /** Everything from the first byte on is still held. */
  replayable = true;
  #copy: HeldBytes | undefined;
  readonly #limit: number;
  #trailers: HeaderList | undefined;

  /** With `ended`, there is none. Keeps up to `limit` bytes, and more only while nobody takes them. */
  constructor(ended: boolean, limit: number) {
    this.ended = ended;
    this.#limit = limit;
  }

  /** The head is all there is. */
  get isEmpty(): boolean {
    return this.ended && this.#held === 0 && this.#trailers === undefined;
  }

  /** Passes a chunk on; false when there is to be no more for now. */
  pass(chunk: Buffer, stream: ClientStream | undefined): boolean {
    this.received += chunk.length;
    if (stream && this.#held + chunk.length > this.#limit) this.forget();
    if (this.replayable) {
      this.#copy ??= new HeldBytes();
      this.#copy.add(chunk);
    }
    return stream?.write(chunk) ?? false;
  }

  end(trailers: HeaderList | undefined, stream: ClientStream | undefined): void {
    this.ended = true;
    this.#trailers = trailers;
    stream?.end(trailers);
  }

  /** Sends what came so far. */
  sendTo(stream: ClientStream): void {
    this.#copy?.read((chunk) => stream.write(chunk));
    if (this.#held > this.#limit) this.forget();
    if (this.ended) stream.end(this.#trailers);
  }

  forget(): void {
    this.replayable = false;
    this.#copy?.clear();
    this.#copy = undefined;
  }

  get #held(): number {
    return this.#copy?.length ?? 0;
  }
}
