import { isIPv6 } from 'node:net';

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** A header of the PROXY protocol, version 2, as a load balancer writes it. */
export function proxyHeader(command: number, family: number, content: Buffer): Buffer {
  return Buffer.concat([signature, Buffer.from([command, family, content.length >> 8, content.length & 255]), content]);
}

/** The header that says a client is at `host` and `port`, with further information behind it. */
export function proxied(host: string, port: number, more = Buffer.alloc(0)): Buffer {
  const address = isIPv6(host) ? groupsOf(host) : Buffer.from(host.split('.').map(Number));
  const ports = Buffer.from([port >> 8, port & 255, 1, 187]);
  const content = Buffer.concat([address, Buffer.alloc(address.length), ports, more]);
  return proxyHeader(0x21, isIPv6(host) ? 0x21 : 0x11, content);
}

function groupsOf(host: string): Buffer {
  const [head, tail = ''] = host.split('::');
  const [before, after] = [head, tail].map((part) => part.split(':').filter(Boolean));
  const zeros = Array(8 - before.length - after.length).fill('0');
  return Buffer.from([...before, ...zeros, ...after].map((group) => group.padStart(4, '0')).join(''), 'hex');
}
