/** Bytes that say whose they are, and where they belong. */
export function bytesOf(owner: number, size: number): Buffer {
  const words = new Uint32Array(Math.ceil(size / 8) * 2);
  for (let i = 0; i < words.length; i += 2) {
    words[i] = owner;
    words[i + 1] = i;
  }
  return Buffer.from(words.buffer, 0, size);
}
