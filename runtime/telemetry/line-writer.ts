const size = 4096;
const quotationMark = 0x22;
const backslash = 0x5c;
const zero = 0x30;

/**
 * Puts a line of JSON together, in ASCII, as bytes from the start: as text it would be dozens of strings to write one
 * line. The line that was begun last is in {@link bytes} up to {@link length}.
 */
export class LineWriter {
  bytes: Buffer = Buffer.allocUnsafeSlow(size);
  length = 0;

  begin(): void {
    // One long line does not make all later ones cost its memory.
    if (this.bytes.length > size) this.bytes = Buffer.allocUnsafeSlow(size);
    this.length = 0;
  }

  /** Text that was made bytes before; its value may follow in the same statement. */
  put(text: Uint8Array): this {
    this.#reserve(text.length);
    this.bytes.set(text, this.length);
    this.length += text.length;
    return this;
  }

  /** A string with its quotation marks, whatever is in it. */
  quoted(value: string): void {
    const { length } = value;
    this.#reserve(length + 2);
    const { bytes } = this;
    let at = this.length;
    bytes[at++] = quotationMark;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code < 0x20 || code > 0x7e || code === quotationMark || code === backslash) {
        this.put(Buffer.from(quote(value), 'latin1'));
        return;
      }
      bytes[at++] = code;
    }
    bytes[at++] = quotationMark;
    this.length = at;
  }

  /** A whole number that is not negative. */
  integer(value: number): void {
    let digits = 1;
    for (let next = 10; next <= value; next *= 10) digits++;
    this.#reserve(digits);
    this.#digits(value, digits);
  }

  /** A number that is not negative, with three digits behind the point. */
  decimal(value: number): void {
    const scaled = Math.round(value * 1000);
    const whole = Math.floor(scaled / 1000);
    this.integer(whole);
    this.#reserve(4);
    this.bytes[this.length++] = 0x2e;
    this.#digits(scaled - whole * 1000, 3);
  }

  #digits(value: number, count: number): void {
    const { bytes } = this;
    let rest = value;
    for (let at = this.length + count - 1; at >= this.length; at--) {
      const next = Math.floor(rest / 10);
      bytes[at] = zero + rest - next * 10;
      rest = next;
    }
    this.length += count;
  }

  #reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow((this.length + more) * 2);
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }
}

/** A string of JSON in ASCII. */
export function quote(value: string): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
