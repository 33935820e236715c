import type { HeaderList, RequestReceiver, ResetReason, ResponseHead, ServerStream } from '../http.ts';
import type { Output } from '../output.ts';
import type { HeadParser } from './head-parser.ts';
import type { MessageWriter } from './message-writer.ts';
import type { UpgradeRequest } from './upgrade.ts';

/** What an exchange needs of its connection. */
export interface ExchangeOwner {
  readonly writer: MessageWriter;
  readonly output: Output;
  /** Whether the connection lives on after a response; without `end`, it has a body. */
  mayKeep(end: boolean): boolean;
  /** Something moved. */
  onProgress(): void;
  /** The handler wants more of the request, or less. */
  onFlow(): void;
  /** 101 is written: what arrives now is the tunnel's. */
  onTunnel(): void;
  /** The response is written to its end. */
  onResponseEnd(): void;
  lose(reason: ResetReason): void;
}

/** One request and its response. To the handler it is inert once it is over. */
export class ServerExchange implements ServerStream {
  receiver: RequestReceiver | undefined;
  /** The handler holds nothing any more; of the request, a rest may still come. */
  over = false;
  /** Why the exchange broke before the handler had a receiver to be told. */
  lost: ResetReason | undefined;
  responded = false;
  /** The response is written; a tunnel's other direction may still be open. */
  ended = false;
  /** The response was 101. */
  tunnel = false;
  /** The connection ends with this exchange. */
  close: boolean;
  awaitsContinue: boolean;
  paused = false;
  /** The handler was told to wait before it writes on. */
  waits = false;
  readonly upgrade: UpgradeRequest | undefined;
  readonly #owner: ExchangeOwner;
  readonly #isHead: boolean;
  readonly #isHttp10: boolean;

  /** The parser has just read the request's head. */
  constructor(owner: ExchangeOwner, parser: HeadParser, hasBody: boolean, upgrade: UpgradeRequest | undefined) {
    this.#owner = owner;
    this.#isHead = parser.method === 'HEAD';
    this.#isHttp10 = parser.isHttp10;
    this.close = parser.close;
    this.awaitsContinue = parser.expectsContinue && hasBody;
    this.upgrade = upgrade;
  }

  informational(head: ResponseHead): void {
    // A client of HTTP/1.0 knows no interim responses.
    if (this.over || this.responded || this.#isHttp10) return;
    if (head.status === 100) this.awaitsContinue = false;
    if (this.#owner.writer.informational(head)) this.#owner.onProgress();
    else this.#owner.lose('internal');
  }

  respond(head: ResponseHead, end: boolean): void {
    if (this.over || this.responded) return;
    this.responded = true;
    if (head.status === 101) this.#switch(head);
    else this.#respond(head, end);
  }

  write(chunk: Buffer): boolean {
    if (this.over || this.ended) return true;
    const owner = this.#owner;
    if (!this.responded || !owner.writer.body(chunk)) {
      owner.lose('internal');
      return true;
    }
    owner.onProgress();
    this.waits = owner.output.blocked;
    return !this.waits;
  }

  end(trailers?: HeaderList): void {
    if (this.over || this.ended) return;
    if (this.responded && this.#owner.writer.end(trailers)) this.#onEnd();
    else this.#owner.lose('internal');
  }

  reset(): void {
    if (this.over) return;
    this.revoke(undefined);
    this.#owner.lose('cancelled');
  }

  pause(): void {
    this.#pause(true);
  }

  resume(): void {
    this.#pause(false);
  }

  /** Makes this inert; gives back whom to tell. */
  revoke(reason: ResetReason | undefined): RequestReceiver | undefined {
    const { receiver } = this;
    if (!this.over) this.lost = reason;
    this.over = true;
    this.receiver = undefined;
    return receiver;
  }

  #pause(paused: boolean): void {
    if (this.over || this.paused === paused) return;
    this.paused = paused;
    this.#owner.onFlow();
  }

  #respond(head: ResponseHead, end: boolean): void {
    const owner = this.#owner;
    // Behind an upgrade that was refused may stand what the client meant for the tunnel: never another request.
    this.close ||= this.upgrade !== undefined || !owner.mayKeep(end);
    const written = owner.writer.response(head, end, {
      isHead: this.#isHead,
      isHttp10: this.#isHttp10,
      close: this.close,
    });
    if (!written) {
      owner.lose('internal');
      return;
    }
    this.close ||= owner.writer.endsWithConnection;
    owner.onProgress();
    if (end) this.#onEnd();
  }

  #onEnd(): void {
    this.ended = true;
    this.#owner.onResponseEnd();
  }

  #switch(head: ResponseHead): void {
    const owner = this.#owner;
    if (this.upgrade === undefined || !owner.writer.switching(head, this.upgrade)) {
      owner.lose('internal');
      return;
    }
    this.tunnel = true;
    this.close = true;
    owner.onTunnel();
  }
}
