import { connect, createServer, isIP, SocketAddress } from 'node:net';
import { endianness } from 'node:os';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalAddress, loadDestinationReader, parseSocketAddress } from '../../runtime/net/index.ts';

const port = fc.integer({ min: 0, max: 65_535 });
const byte = fc.integer({ min: 0, max: 255 });

/** The machine's byte order, as `sin_family` and `sin6_scope_id` have it. */
const native = (bytes: number, value: number): Buffer => {
  const buffer = Buffer.alloc(bytes);
  if (endianness() === 'LE') buffer.writeUIntLE(value, 0, bytes);
  else buffer.writeUIntBE(value, 0, bytes);
  return buffer;
};
const network = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);

const ipv4 = (address: readonly number[], of: number): Buffer =>
  Buffer.concat([native(2, 2), network(of), Buffer.from(address), Buffer.alloc(8)]);
const ipv6 = (groups: readonly number[], of: number, scope = 0): Buffer =>
  Buffer.concat([native(2, 10), network(of), native(4, 77), ...groups.map(network), native(4, scope)]);

it('reads every sockaddr_in', () => {
  fc.assert(
    fc.property(fc.tuple(byte, byte, byte, byte), port, (address, of) => {
      expect(parseSocketAddress(ipv4(address, of))).toEqual({ host: address.join('.'), port: of });
    }),
  );
});

it('reads every sockaddr_in6, in the one form that Node gives an address too', () => {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 65_535 }));
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), port, (groups, of) => {
      const written = groups.map((each) => each.toString(16).padStart(4, '0').toUpperCase()).join(':');
      const { address } = new SocketAddress({ address: written, family: 'ipv6' });
      expect(parseSocketAddress(ipv6(groups, of))).toEqual({ host: address, port: of });
      expect(canonicalAddress(written)).toBe(address);
    }),
  );
});

it('keeps the scope of a link-local address', () => {
  expect(parseSocketAddress(ipv6([0xfe80, 0, 0, 0, 0, 0, 0, 1], 80, 3))).toEqual({ host: 'fe80::1%3', port: 80 });
});

it('gives an address or nothing for whatever bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const parsed = parseSocketAddress(Buffer.from(bytes));
      if (parsed) expect(isIP(parsed.host.split('%')[0])).toBeGreaterThan(0);
    }),
  );
  expect(parseSocketAddress(ipv6([0, 0, 0, 0, 0, 0, 0, 1], 80).subarray(0, 16))).toBeUndefined();
  expect(parseSocketAddress(native(2, 1))).toBeUndefined();
});

it('leaves what is no IPv6 address as it is', () => {
  expect(['10.0.0.1', 'reviews', ''].map(canonicalAddress)).toEqual(['10.0.0.1', 'reviews', '']);
});

it('knows no destination of a connection that the kernel has not redirected', async () => {
  if (process.platform !== 'linux') return;
  const destinationOf = await loadDestinationReader();
  const server = createServer();
  const accepted = new Promise((resolve) =>
    server.once('connection', (socket) => {
      const destination = destinationOf(socket);
      // Where connections are tracked, a connection that was not redirected was meant for where it is.
      resolve(destination ?? { host: socket.localAddress, port: socket.localPort });
      socket.destroy();
      expect(destinationOf(socket)).toBeUndefined();
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as { port: number };
  const client = connect(address.port, '127.0.0.1').on('error', () => {});
  expect(await accepted).toEqual({ host: '127.0.0.1', port: address.port });
  client.destroy();
  server.close();
});
