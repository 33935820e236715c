import type { Connection } from './connection.ts';
import { atTurnEnd, type TurnEnd } from './turn.ts';
import { WriteBuffer } from './write-buffer.ts';

/** Chunks up to this size become part of the text of the turn: small messages leave as one string. */
const smallChunk = 8192;
/** Text beyond this leaves at once. */
const flushAt = 65_536;

/** Collects what one turn of the event loop writes to a connection, to send it in one write. */
export class Output implements TurnEnd {
  /** The connection takes no more until it drains. */
  blocked = false;
  /** How often bytes were given to the connection. */
  writes = 0;

  readonly #connection: Connection;
  /** What waits is either text or, with the first large chunk, in a buffer. */
  #text = '';
  #buffer: WriteBuffer | undefined;
  #scheduled = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Adds latin1 text. */
  text(text: string): void {
    if (this.#buffer && text.length <= this.#buffer.room) {
      this.#buffer.addText(text);
      return;
    }
    if (this.#buffer) this.flush();
    this.#text += text;
    if (this.#text.length >= flushAt) this.flush();
    else this.#schedule();
  }

  /** Adds bytes. The chunk is the caller's again. */
  bytes(chunk: Buffer): void {
    if (chunk.length <= smallChunk && !this.#buffer) {
      this.text(chunk.toString('latin1'));
      return;
    }
    for (let at = 0; at < chunk.length; ) {
      const buffer = this.#open();
      at += buffer.add(chunk, at);
      if (buffer.room === 0) this.flush();
    }
  }

  flush(): void {
    const [text, buffer] = [this.#text, this.#buffer];
    if (buffer) {
      this.#buffer = undefined;
      this.#wrote(buffer.writeTo(this.#connection));
    } else if (text !== '') {
      this.#text = '';
      this.#wrote(this.#connection.write(text));
    }
  }

  /** Forgets what has not left yet. */
  discard(): void {
    this.#text = '';
    this.#buffer?.drop();
    this.#buffer = undefined;
  }

  onTurnEnd(): void {
    this.#scheduled = false;
    this.flush();
  }

  #open(): WriteBuffer {
    if (this.#buffer) return this.#buffer;
    const buffer = new WriteBuffer();
    buffer.addText(this.#text);
    this.#text = '';
    this.#buffer = buffer;
    this.#schedule();
    return buffer;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    atTurnEnd(this);
  }

  #wrote(writable: boolean): void {
    this.writes++;
    if (!writable) this.blocked = true;
  }
}
