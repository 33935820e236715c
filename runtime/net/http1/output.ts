import type { Connection } from '../connection.ts';
import { atTurnEnd, type TurnEnd } from '../turn.ts';

/** Chunks up to this size are copied into the text of the turn: cheaper than a system call of their own. */
const smallChunk = 8192;
/** Text beyond this leaves at once. */
const flushAt = 65_536;

/** Collects what one turn of the event loop writes to a connection and sends it as one string. */
export class Output implements TurnEnd {
  /** The connection takes no more until it drains. */
  blocked = false;
  /** How often bytes were given to the connection. */
  writes = 0;

  readonly #connection: Connection;
  #text = '';
  #scheduled = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Adds latin1 text. */
  text(text: string): void {
    this.#text += text;
    if (this.#text.length >= flushAt) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      atTurnEnd(this);
    }
  }

  /** Adds bytes; large ones pass without a copy. */
  bytes(chunk: Buffer): void {
    if (chunk.length <= smallChunk) {
      this.text(chunk.toString('latin1'));
      return;
    }
    this.flush();
    this.#write(chunk);
  }

  flush(): void {
    if (this.#text === '') return;
    const text = this.#text;
    this.#text = '';
    this.#write(text);
  }

  /** Forgets what has not left yet. */
  discard(): void {
    this.#text = '';
  }

  onTurnEnd(): void {
    this.#scheduled = false;
    this.flush();
  }

  #write(data: Buffer | string): void {
    this.writes++;
    if (!this.#connection.write(data)) this.blocked = true;
  }
}
