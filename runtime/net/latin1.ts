/** Methods that every buffer of Node has, absent from its types: they spare looking up the encoding by its name. */
interface Latin1Buffer {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, offset: number): number;
}

export function readLatin1(buffer: Buffer, start: number, end: number): string {
  return (buffer as Buffer & Latin1Buffer).latin1Slice(start, end);
}

/** The same text by itself: what was cut out of a longer one keeps all of that in memory. */
export function copyOf(text: string): string {
  return readLatin1(Buffer.from(text, 'latin1'), 0, text.length);
}

/** Returns how many bytes were written. */
export function writeLatin1(buffer: Buffer, text: string, offset: number): number {
  return (buffer as Buffer & Latin1Buffer).latin1Write(text, offset);
}
