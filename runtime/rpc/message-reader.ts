const prefixSize = 5;

/** Cuts the body of a call into messages (gRPC over HTTP/2, "Length-Prefixed-Message"). */
export class MessageReader {
  readonly #maxSize: number;
  readonly #take: (message: Buffer) => void;
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** Messages of more than `maxSize` bytes are refused. */
  constructor(maxSize: number, take: (message: Buffer) => void) {
    this.#maxSize = maxSize;
    this.#take = take;
  }

  /** In the middle of a message. */
  get incomplete(): boolean {
    return this.#bytes > 0;
  }

  /** Throws when what came is no message, or too large. The chunk is copied. */
  add(chunk: Buffer): void {
    this.#chunks.push(Buffer.from(chunk));
    this.#bytes += chunk.length;
    while (this.#bytes >= prefixSize) {
      const size = this.#nextSize();
      if (this.#bytes < prefixSize + size) return;
      const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks, this.#bytes);
      this.#bytes -= prefixSize + size;
      this.#chunks = this.#bytes === 0 ? [] : [all.subarray(prefixSize + size)];
      this.#take(all.subarray(prefixSize, prefixSize + size));
    }
  }

  #nextSize(): number {
    if (this.#chunks[0].length < prefixSize) this.#chunks = [Buffer.concat(this.#chunks, this.#bytes)];
    const [first] = this.#chunks;
    if (first[0] !== 0) throw new Error('a message is compressed, which was not agreed upon');
    const size = first.readUInt32BE(1);
    if (size > this.#maxSize) throw new Error(`a message of ${size} bytes; at most ${this.#maxSize} are taken`);
    return size;
  }
}

/** A message as it is sent. */
export function frameMessage(message: Uint8Array): Buffer {
  const framed = Buffer.alloc(prefixSize + message.length);
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, prefixSize);
  return framed;
}
