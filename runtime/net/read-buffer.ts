import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** All sockets read into this one, unless much comes. */
const sharedBuffer = Buffer.allocUnsafeSlow(65_536);
/** What TLS gives at a time, most. */
const recordSize = 16_384;
/** Reads from this size on are not copied: the buffer is given away, and the socket gets another of its own. */
const largeRead = 8192;

/** Where Node keeps what `onread` says. */
interface Slots {
  readonly buffer: symbol;
  readonly nextBuffer: symbol;
  readonly callback: symbol;
}

type Inner = Record<symbol, unknown> & { readonly _handle: { useUserBuffer?(buffer: Buffer): void } | null };

const slots = findSlots();

/** Absent in a Node that does it otherwise: reading is slower then. */
function findSlots(): Slots | undefined {
  const bytes = Buffer.alloc(1);
  const makeBuffer = () => bytes;
  const take = () => true;
  const find = (socket: Socket, value: unknown) =>
    Object.getOwnPropertySymbols(socket).find((symbol) => (socket as unknown as Inner)[symbol] === value);
  const buffer = find(new Socket({ onread: { buffer: bytes, callback: take } }), bytes);
  const making = new Socket({ onread: { buffer: makeBuffer, callback: take } });
  const nextBuffer = find(making, makeBuffer);
  const callback = find(making, take);
  return buffer && nextBuffer && callback ? { buffer, nextBuffer, callback } : undefined;
}

/**
 * Has `take` called with what an open socket receives, as its `data` event would; the chunks belong to `take`.
 *
 * Node allocates 64 KiB for each read, most of which it throws away, and passes the rest through a stream's queue, unless
 * a socket is made with the option `onread`. That exists only where we connect: this sets it on sockets that are open.
 */
export function takeReads(socket: Socket, take: (chunk: Buffer) => void): void {
  // What the socket has read before this still comes by the event.
  socket.on('data', take);
  const inner = socket as unknown as Inner;
  if (!slots || typeof inner._handle?.useUserBuffer !== 'function') return;
  const ownSize = socket instanceof TLSSocket ? recordSize : sharedBuffer.length;
  let next: Buffer | undefined;
  inner[slots.buffer] = sharedBuffer;
  inner[slots.nextBuffer] = () => next;
  inner[slots.callback] = (bytes: number, buffer: Buffer): boolean => {
    const shared = buffer === sharedBuffer;
    const view = buffer.subarray(0, bytes);
    if (bytes >= largeRead) next = Buffer.allocUnsafeSlow(ownSize);
    else next = shared ? undefined : sharedBuffer;
    const chunk = shared || bytes < largeRead ? Buffer.from(view) : view;
    // TLS gives all that one read held, though the socket was paused meanwhile: with its handshake comes what was said next.
    if (socket.isPaused() || socket.readableLength > 0) socket.push(chunk);
    else take(chunk);
    return true;
  };
  inner._handle.useUserBuffer(sharedBuffer);
}
