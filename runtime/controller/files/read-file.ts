import { createReadStream } from 'node:fs';

/** Reads a text file; `undefined` where it has more than `limit` bytes. */
export async function readBounded(path: string, limit: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of createReadStream(path, { end: limit })) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
  }
  return size > limit ? undefined : Buffer.concat(chunks).toString('utf8');
}
