import { BlockList, isIP, isIPv6 } from 'node:net';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { compileNetworks, isAddress } from '../../runtime/engine/index.ts';

const familyOf = (address: string) => (isIPv6(address) ? 'ipv6' : 'ipv4');
/** Mostly zeros and ones, so that networks hold some of the addresses. */
const octet = fc.oneof(fc.constantFrom(0, 1, 10, 128, 255), fc.nat(255));
const v4 = fc.array(octet, { minLength: 4, maxLength: 4 }).map((octets) => octets.join('.'));
const v6 = fc.oneof(
  fc.ipV6(),
  v4.map((address) => `::ffff:${address}`),
  fc
    .tuple(fc.constantFrom('fd00', 'fe80', '2001:DB8'), fc.nat(0xffff))
    .map(([head, end]) => `${head}::${end.toString(16)}`),
);
const network = fc.oneof(
  fc.tuple(v4, fc.nat(32)).map(([address, length]) => ({ address, length })),
  fc.tuple(v6, fc.nat(128)).map(([address, length]) => ({ address, length })),
);

it('says of every address and network what the platform says', () => {
  fc.assert(
    fc.property(network, fc.oneof(v4, v6), ({ address, length }, asked) => {
      const list = new BlockList();
      list.addSubnet(address, length, familyOf(address));
      expect(compileNetworks([`${address}/${length}`])(asked)).toBe(list.check(asked, familyOf(asked)));
      expect(compileNetworks([`${asked}/${familyOf(asked) === 'ipv6' ? 128 : 32}`])(asked)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

it('takes for addresses what the platform does', () => {
  const part = fc.constantFrom(
    '::',
    ':',
    '.',
    '0',
    '1',
    '01',
    '255',
    '256',
    'ffff',
    'fffff',
    'g',
    '1.2.3.4',
    '%',
    '/8',
    ' ',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 18 }), (parts) => {
      const text = parts.join('');
      fc.pre(!text.includes('%'));
      expect(isAddress(text)).toBe(isIP(text) !== 0);
    }),
    { numRuns: 5000 },
  );
});

it.each(['', '1:2:3:4:5:6:7:8:9', '1::2::3', '1.2.3.4::', '::1.2.3', '1.2.3.4.', '1:2:3:4:5:6:7:8::', 'fe80::1%eth0'])(
  'takes "%s" for no address',
  (text) => {
    expect(isAddress(text)).toBe(false);
    expect(compileNetworks(['0.0.0.0/0', '::/0'])(text)).toBe(false);
  },
);

it.each(['10.0.0.0', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/', '10.0.0.0/-1', '10.0.0/8', 'ingress/8'])(
  'refuses "%s" for a network',
  (text) => {
    expect(() => compileNetworks([text])).toThrow(`${text} is no network`);
  },
);
