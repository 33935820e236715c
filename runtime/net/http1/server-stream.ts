import type { HeaderList, ResetReason, ResponseHead, ServerStream } from '../http.ts';

/** What a handler can do to the exchange in work. */
export interface ExchangeControl {
  informational(head: ResponseHead): void;
  respond(head: ResponseHead, end: boolean): void;
  write(chunk: Buffer): boolean;
  end(trailers: HeaderList | undefined): void;
  reset(): void;
  pauseReader(paused: boolean): void;
}

/** What the handler holds: inert once the exchange is over. */
export class Http1ServerStream implements ServerStream {
  /** Why the exchange broke before the handler had a receiver to be told. */
  lost: ResetReason | undefined;
  #exchange: ExchangeControl | undefined;

  constructor(exchange: ExchangeControl) {
    this.#exchange = exchange;
  }

  informational(head: ResponseHead): void {
    this.#exchange?.informational(head);
  }

  respond(head: ResponseHead, end: boolean): void {
    this.#exchange?.respond(head, end);
  }

  write(chunk: Buffer): boolean {
    return this.#exchange === undefined || this.#exchange.write(chunk);
  }

  end(trailers?: HeaderList): void {
    this.#exchange?.end(trailers);
  }

  reset(): void {
    this.#exchange?.reset();
  }

  pause(): void {
    this.#exchange?.pauseReader(true);
  }

  resume(): void {
    this.#exchange?.pauseReader(false);
  }

  revoke(reason: ResetReason | undefined): void {
    this.lost = reason;
    this.#exchange = undefined;
  }
}
