import { HeldBytes, type Stream } from '../net/index.ts';

/** Holds a request's body so that it can be sent again. */
export class BodyCopy {
  readonly #held = new HeldBytes();

  get bytes(): number {
    return this.#held.length;
  }

  add(chunk: Buffer): void {
    this.#held.add(chunk);
  }

  writeTo(stream: Stream): void {
    this.#held.forEach((chunk) => stream.write(chunk));
  }

  drop(): void {
    this.#held.clear();
  }
}
