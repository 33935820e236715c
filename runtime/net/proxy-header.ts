import type { Socket } from 'node:net';
import type { Clock } from '../model/index.ts';
import { canonicalAddress } from './original-destination.ts';

/** What a connection begins with that a proxy before us opened (PROXY protocol, version 2). */
export interface ProxyHeader {
  /** Bytes of it; what follows is the client's. */
  readonly length: number;
  /** The client, as `host:port`; absent where the proxy speaks for itself, as in its health checks. */
  readonly client?: string;
}

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const fixedLength = 16;
/** Addresses and what proxies add to them (TLVs); the most that is in use is below a kilobyte. */
const maxLength = 4096;
const commands = { local: 0x20, proxy: 0x21 };
/** Families of addresses, with the transport (stream) in the low half. */
const families = { unspecified: 0x00, ipv4: 0x11, ipv6: 0x21, unix: 0x31 };

/** Reads the header that a connection begins with. `undefined`: it begins with something else, or with a bad one. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | 'incomplete' | undefined {
  const known = Math.min(bytes.length, signature.length);
  if (signature.compare(bytes, 0, known, 0, known) !== 0) return undefined;
  if (bytes.length < fixedLength) return 'incomplete';
  const [command, family, length] = [bytes[12], bytes[13], fixedLength + bytes.readUInt16BE(14)];
  if (length > fixedLength + maxLength) return undefined;
  if (command === commands.local) return bytes.length < length ? 'incomplete' : { length };
  if (command !== commands.proxy) return undefined;
  switch (family) {
    case families.ipv4:
      return withClient(bytes, length, 4, (from) => [...bytes.subarray(from, from + 4)].join('.'));
    case families.ipv6:
      return withClient(bytes, length, 16, (from) => ipv6At(bytes, from));
    case families.unspecified:
    case families.unix:
      return bytes.length < length ? 'incomplete' : { length };
    default:
      return undefined;
  }
}

/** Source and destination address, then their ports. */
function withClient(
  bytes: Buffer,
  length: number,
  addressLength: number,
  addressAt: (offset: number) => string,
): ProxyHeader | 'incomplete' | undefined {
  const port = fixedLength + 2 * addressLength;
  if (length < port + 4) return undefined;
  if (bytes.length < length) return 'incomplete';
  return { length, client: `${addressAt(fixedLength)}:${bytes.readUInt16BE(port)}` };
}

function ipv6At(bytes: Buffer, offset: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(offset + 2 * index).toString(16));
  const address = canonicalAddress(groups.join(':'));
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}

/**
 * Takes the header off a connection that must begin with one. `timeout` is in milliseconds. What follows it stays to be
 * read; `done` hears of the client, where it is named.
 */
export function readProxyHeader(
  socket: Socket,
  timeout: number,
  clock: Clock,
  done: (client: string | undefined) => void,
  refuse: (error: Error) => void,
): void {
  let seen: Buffer = Buffer.alloc(0);
  const stop = (): void => {
    timer.cancel();
    socket.off('data', onData).off('end', onEnd).off('error', fail);
  };
  const fail = (error: Error): void => {
    stop();
    refuse(error);
  };
  const onEnd = (): void => fail(new Error('the connection ended before its PROXY header'));
  const onData = (chunk: Buffer): void => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const header = parseProxyHeader(seen);
    if (header === 'incomplete') return;
    if (!header) {
      fail(new Error('the connection begins with no PROXY header of version 2'));
      return;
    }
    stop();
    socket.pause();
    if (seen.length > header.length) socket.unshift(seen.subarray(header.length));
    // In this order: who takes the connection may pause it.
    socket.resume();
    done(header.client);
  };
  // Of the whole header: who sends a byte now and then must not hold a connection for ever.
  const timer = clock.schedule(timeout, () => fail(new Error(`there was no PROXY header in ${timeout} ms`)));
  socket.on('data', onData).on('end', onEnd).on('error', fail);
}
