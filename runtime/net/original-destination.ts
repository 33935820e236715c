import { isIPv6, type Socket, SocketAddress } from 'node:net';
import { endianness } from 'node:os';

/** Where a redirected connection was meant to go. */
export interface Destination {
  /** In the form of {@link canonicalAddress}; a link-local one with its scope. */
  readonly host: string;
  readonly port: number;
}

/** Tells where a connection was meant to go; `undefined` where the kernel does not know it as a redirected one. */
export type DestinationReader = (socket: Socket) => Destination | undefined;

const ipv4 = { family: 2, level: 0 } as const;
const ipv6 = { family: 10, level: 41 } as const;
/** `SO_ORIGINAL_DST` and `IP6T_SO_ORIGINAL_DST`, which are the same (linux/netfilter_ipv4.h, netfilter_ipv6/ip6_tables.h). */
const originalDestination = 80;
/** Of `sockaddr_in6`, the larger of both. */
const addressBytes = 28;

/**
 * Reads a `sockaddr_in` or `sockaddr_in6` as Linux lays them out: the family in the machine's byte order, port and
 * address in the network's. `undefined` for other families and for less bytes than the family needs.
 */
export function parseSocketAddress(bytes: Buffer): Destination | undefined {
  if (bytes.length < 8) return undefined;
  const little = endianness() === 'LE';
  const family = little ? bytes.readUInt16LE(0) : bytes.readUInt16BE(0);
  const port = bytes.readUInt16BE(2);
  if (family === ipv4.family) return { host: `${bytes[4]}.${bytes[5]}.${bytes[6]}.${bytes[7]}`, port };
  if (family !== ipv6.family || bytes.length < addressBytes) return undefined;
  const scope = little ? bytes.readUInt32LE(24) : bytes.readUInt32BE(24);
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(8 + 2 * index).toString(16));
  return { host: canonicalAddress(groups.join(':')) + (scope === 0 ? '' : `%${scope}`), port };
}

/** The one text (RFC 5952) of an IPv6 address, which may be written in many ways; other texts stay as they are. */
export function canonicalAddress(text: string): string {
  return isIPv6(text) ? new SocketAddress({ address: text, family: 'ipv6' }).address : text;
}

type GetSocketOption = (descriptor: number, level: number, option: number, value: Buffer, length: [number]) => number;

/**
 * Loads what reads original destinations: the C library's `getsockopt`, through koffi. Rejects where that cannot be
 * had; only Linux redirects connections in a way that tells.
 */
export async function loadDestinationReader(): Promise<DestinationReader> {
  if (process.platform !== 'linux') {
    throw new Error(`connections are redirected to a proxy on Linux only; this is ${process.platform}`);
  }
  let getSocketOption: GetSocketOption;
  try {
    const { default: koffi } = await import('koffi');
    getSocketOption = koffi
      .load(null)
      .func('int getsockopt(int, int, int, _Out_ uint8_t *, _Inout_ uint32_t *)') as unknown as GetSocketOption;
  } catch (error) {
    throw new Error(
      `the original destination of redirected connections cannot be read: ${(error as Error).message}; koffi must be installed for ${process.platform}-${process.arch}`,
      { cause: error },
    );
  }
  const address = Buffer.alloc(addressBytes);
  return (socket) => {
    const descriptor = descriptorOf(socket);
    if (descriptor === undefined) return undefined;
    const { level } = socket.localFamily === 'IPv6' ? ipv6 : ipv4;
    const length: [number] = [addressBytes];
    if (getSocketOption(descriptor, level, originalDestination, address, length) !== 0) return undefined;
    return parseSocketAddress(address.subarray(0, length[0]));
  };
}

/** Node tells it nowhere else; a TLS socket gives that of the socket beneath. */
function descriptorOf(socket: Socket): number | undefined {
  const { fd } = (socket as Socket & { readonly _handle?: { readonly fd?: number } })._handle ?? {};
  return fd !== undefined && fd >= 0 ? fd : undefined;
}
