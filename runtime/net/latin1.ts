/** Methods that every buffer of Node has, absent from its types: they spare looking up the encoding by its name. */
interface Latin1Buffer {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, offset: number): number;
}

export function readLatin1(buffer: Buffer, start: number, end: number): string {
  return (buffer as Buffer & Latin1Buffer).latin1Slice(start, end);
}

/** Returns how many bytes were written. */
export function writeLatin1(buffer: Buffer, text: string, offset: number): number {
  return (buffer as Buffer & Latin1Buffer).latin1Write(text, offset);
}
