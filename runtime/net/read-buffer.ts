import { Socket } from 'node:net';

/**
 * All sockets read into this one. What one read brings may have to wait, for each request under way: with 64 KiB a byte cost
 * hardly less CPU than with 16, and a thousand answers that come while the other hop is busy twice the memory.
 */
const sharedBuffer = Buffer.allocUnsafeSlow(16_384);

/** Where Node keeps what `onread` says. */
interface Slots {
  readonly buffer: symbol;
  readonly callback: symbol;
}

type Inner = Record<symbol, unknown> & { readonly _handle: { useUserBuffer?(buffer: Buffer): void } | null };

const slots = findSlots();

/** Absent in a Node that does it otherwise: reading is slower then. */
function findSlots(): Slots | undefined {
  const bytes = Buffer.alloc(1);
  const take = () => true;
  const find = (socket: Socket, value: unknown) =>
    Object.getOwnPropertySymbols(socket).find((symbol) => (socket as unknown as Inner)[symbol] === value);
  const reading = new Socket({ onread: { buffer: bytes, callback: take } });
  const buffer = find(reading, bytes);
  const callback = find(reading, take);
  return buffer && callback ? { buffer, callback } : undefined;
}

/**
 * Has `take` called with what an open socket receives, as its `data` event would; the chunks are lent for the call.
 *
 * Node allocates 64 KiB for each read, most of which it throws away, and passes the rest through a stream's queue, unless
 * a socket is made with the option `onread`. That exists only where we connect: this sets it on sockets that are open.
 */
export function takeReads(socket: Socket, take: (chunk: Buffer) => void): void {
  // What the socket has read before this still comes by the event.
  socket.on('data', take);
  const inner = socket as unknown as Inner;
  if (!slots || typeof inner._handle?.useUserBuffer !== 'function') return;
  inner[slots.buffer] = sharedBuffer;
  inner[slots.callback] = (bytes: number): boolean => {
    const chunk = sharedBuffer.subarray(0, bytes);
    // TLS gives all that one read held, though the socket was paused meanwhile: with its handshake comes what was said next.
    if (socket.isPaused() || socket.readableLength > 0) return socket.push(Buffer.from(chunk));
    take(chunk);
    return true;
  };
  inner._handle.useUserBuffer(sharedBuffer);
}
