import { isValueCharacter } from '../field-value.ts';
import { readLatin1 } from '../latin1.ts';

const size = 8192;
const shared = Buffer.allocUnsafeSlow(size);

/**
 * Puts a head together as bytes, and makes one string of them at its end: put together as text it would be several strings
 * a field. One is enough for all connections, as a head is written in one go.
 */
export class HeadWriter {
  #bytes = shared;
  #length = 0;

  /** `bound` is how many characters will come at most. */
  begin(bound: number): void {
    this.#bytes = bound <= size ? shared : Buffer.allocUnsafe(bound);
    this.#length = 0;
  }

  /** Latin1, and known to be valid. */
  text(text: string): void {
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    this.#length = at;
  }

  /** False, and nothing written, where it may not stand in a field's value. */
  value(text: string): boolean {
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (!isValueCharacter(code)) return false;
      bytes[at++] = code;
    }
    this.#length = at;
    return true;
  }

  take(): string {
    const text = readLatin1(this.#bytes, 0, this.#length);
    this.#bytes = shared;
    return text;
  }
}
