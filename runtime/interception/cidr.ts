import { isIPv4, isIPv6 } from 'node:net';

/** Checks a network such as `10.0.0.0/8` or `fd00::/8`; an address is one of a single address. Throws what is wrong. */
export function parseCidr(text: string): string {
  const [address, prefix, ...rest] = text.split('/');
  const bits = isIPv4(address) ? 32 : isIPv6(address) && !address.includes('%') ? 128 : 0;
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (bits === 0 || rest.length > 0 || !(length <= bits)) {
    throw new Error(
      `"${text}" is no network; expected an address with a prefix length, such as 10.0.0.0/8 or fd00::/8`,
    );
  }
  return `${address}/${length}`;
}
