import type { HeaderList, HttpLimits } from '../http.ts';
import { HeadParser } from './head-parser.ts';

/** Receives what a {@link BodyReader} finds. */
export interface BodySink {
  onBody(chunk: Buffer): void;
}

const State = {
  done: 0,
  length: 1,
  untilClose: 2,
  size: 3,
  extension: 4,
  sizeLineFeed: 5,
  data: 6,
  dataReturn: 7,
  dataLineFeed: 8,
  trailer: 9,
  lastLineFeed: 10,
} as const;

const carriageReturn = 13;
const lineFeed = 10;
const maxSizeDigits = 12;
/** Bytes of chunk extensions accepted beyond as many as there were of body. */
const extensionAllowance = 16_384;

const hexValues = new Int8Array(256).fill(-1);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  hexValues[digit.charCodeAt(0)] = value;
  hexValues[digit.toUpperCase().charCodeAt(0)] = value;
}

/** Takes message bodies out of a byte stream (RFC 9112 sections 6 and 7). One reader serves a connection. */
export class BodyReader {
  /** Set when a chunked body ended with trailers. */
  trailers: HeaderList | undefined;

  readonly #limits: HttpLimits;
  #state: number = State.done;
  #remaining = 0;
  #digits = 0;
  #extensionBytes = 0;
  #bodyBytes = 0;
  #trailerText = '';

  constructor(limits: HttpLimits) {
    this.#limits = limits;
  }

  get done(): boolean {
    return this.#state === State.done;
  }

  get endsWithConnection(): boolean {
    return this.#state === State.untilClose;
  }

  /** Bytes still to come, as far as that is known. */
  get remaining(): number {
    if (this.#state === State.done) return 0;
    return this.#state === State.length ? this.#remaining : Number.POSITIVE_INFINITY;
  }

  beginLength(length: number): void {
    this.trailers = undefined;
    this.#remaining = length;
    this.#state = length === 0 ? State.done : State.length;
  }

  beginChunked(): void {
    this.trailers = undefined;
    this.#extensionBytes = 0;
    this.#bodyBytes = 0;
    this.#trailerText = '';
    this.#beginChunk();
  }

  beginUntilClose(): void {
    this.trailers = undefined;
    this.#state = State.untilClose;
  }

  /** Ends the body here: the rest of it is of no interest, or the connection ended and with it the body. */
  stop(): void {
    this.#state = State.done;
  }

  /** Reads from `at` to the end of the input or of the body. Returns where it stopped, -1 when malformed. */
  read(input: Buffer, start: number, sink: BodySink): number {
    let at = start;
    while (at < input.length && this.#state !== State.done) {
      switch (this.#state) {
        case State.length:
        case State.data: {
          const from = at;
          at += Math.min(this.#remaining, input.length - at);
          this.#remaining -= at - from;
          this.#bodyBytes += at - from;
          if (this.#remaining === 0) this.#state = this.#state === State.length ? State.done : State.dataReturn;
          sink.onBody(view(input, from, at));
          break;
        }
        case State.untilClose:
          sink.onBody(view(input, at, input.length));
          return input.length;
        case State.trailer:
          at = this.#readTrailer(input, at);
          if (at < 0) return -1;
          break;
        default:
          if (!this.#step(input[at++])) return -1;
      }
    }
    return at;
  }

  #beginChunk(): void {
    this.#state = State.size;
    this.#remaining = 0;
    this.#digits = 0;
  }

  /** Advances by one byte of chunk framing. */
  #step(byte: number): boolean {
    switch (this.#state) {
      case State.size:
        if (hexValues[byte] >= 0) {
          this.#remaining = this.#remaining * 16 + hexValues[byte];
          return ++this.#digits <= maxSizeDigits;
        }
        if (this.#digits === 0) return false;
        if (byte === carriageReturn) this.#state = State.sizeLineFeed;
        else if (byte === 59) this.#state = State.extension;
        else return false;
        return true;
      case State.extension:
        if (byte === carriageReturn) this.#state = State.sizeLineFeed;
        else if ((byte < 32 && byte !== 9) || byte === 127) return false;
        return ++this.#extensionBytes <= extensionAllowance + this.#bodyBytes;
      case State.sizeLineFeed:
        this.#state = this.#remaining === 0 ? State.trailer : State.data;
        return byte === lineFeed;
      case State.dataReturn:
        this.#state = State.dataLineFeed;
        return byte === carriageReturn;
      case State.dataLineFeed:
        this.#beginChunk();
        return byte === lineFeed;
      default:
        this.#state = State.done;
        return byte === lineFeed && this.#parseTrailers();
    }
  }

  /** Reads up to the end of a trailer line, or the first byte of the empty line that ends them all. */
  #readTrailer(input: Buffer, at: number): number {
    const atLineStart = this.#trailerText === '' || this.#trailerText.endsWith('\n');
    if (atLineStart && input[at] === carriageReturn) {
      this.#state = State.lastLineFeed;
      return at + 1;
    }
    const found = input.indexOf(lineFeed, at);
    const end = found < 0 ? input.length : found + 1;
    this.#trailerText += input.toString('latin1', at, end);
    if (this.#trailerText.length > this.#limits.maxHeadBytes) return -1;
    return found < 0 || this.#trailerText.endsWith('\r\n') ? end : -1;
  }

  #parseTrailers(): boolean {
    if (this.#trailerText === '') return true;
    this.trailers = new HeadParser(this.#limits).parseTrailers(this.#trailerText);
    return this.trailers !== undefined;
  }
}

function view(input: Buffer, from: number, to: number): Buffer {
  return from === 0 && to === input.length ? input : input.subarray(from, to);
}
