import type { ClientStream, HeaderList } from '../http.ts';

/** What a caller can do to the exchange in work. */
export interface ClientExchange {
  write(chunk: Buffer): boolean;
  end(trailers: HeaderList | undefined): void;
  reset(): void;
  pauseReader(paused: boolean): void;
}

/** What the caller holds: inert once the exchange is over. */
export class Http1ClientStream implements ClientStream {
  cancelled = false;
  #exchange: ClientExchange | undefined;

  constructor(exchange: ClientExchange) {
    this.#exchange = exchange;
  }

  write(chunk: Buffer): boolean {
    return this.#exchange === undefined || this.#exchange.write(chunk);
  }

  end(trailers?: HeaderList): void {
    this.#exchange?.end(trailers);
  }

  reset(): void {
    this.cancelled = true;
    this.#exchange?.reset();
  }

  pause(): void {
    this.#exchange?.pauseReader(true);
  }

  resume(): void {
    this.#exchange?.pauseReader(false);
  }

  revoke(): void {
    this.#exchange = undefined;
  }
}
