import { WriteBuffer } from '../../runtime/net/write-buffer.ts';

/** How many large buffers are to be had: all of them, where nobody writes. */
export function largeBuffersAtHand(): number {
  const taken: WriteBuffer[] = [];
  while (WriteBuffer.most > 16_384) taken.push(new WriteBuffer(WriteBuffer.most));
  for (const each of taken) each.drop();
  return taken.length;
}
