/** Whether an address is in one of some networks. IPv4 addresses are as their forms in IPv6 (`::ffff:10.1.2.3`). */
export type NetworkTest = (address: string) => boolean;

const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const group = /^[0-9a-f]{1,4}$/i;
const mapped = 0xffffn << 32n;

/** Compiles networks (`10.0.0.0/8`, `fd00::/8`); throws where one is none. */
export function compileNetworks(networks: readonly string[]): NetworkTest {
  const compiled = networks.map((text) => {
    const [address, length] = text.split('/');
    const base = parseAddress(address);
    const most = ipv4.test(address) ? 32 : 128;
    if (base === undefined || !/^\d{1,3}$/.test(length) || Number(length) > most) {
      throw new Error(`${text} is no network such as 10.0.0.0/8`);
    }
    const ignored = BigInt(most - Number(length));
    return { prefix: base >> ignored, ignored };
  });
  if (compiled.length === 0) return () => false;
  return (text) => {
    const address = parseAddress(text);
    return address !== undefined && compiled.some(({ prefix, ignored }) => address >> ignored === prefix);
  };
}

/** Whether a text is an address of IPv4 or IPv6, without port and zone. */
export function isAddress(text: string): boolean {
  return parseAddress(text) !== undefined;
}

/** The 128 bits of an address; `undefined` where a text is none. */
function parseAddress(text: string): bigint | undefined {
  if (ipv4.test(text)) return mapped | join(text.split('.'), 8n);
  const [head, tail, more] = withoutDots(text).split('::');
  const before = groupsOf(head);
  const after = groupsOf(tail ?? '');
  if (!before || !after || more !== undefined) return undefined;
  const missing = 8 - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  return join([...before, ...Array<string>(missing).fill('0x0'), ...after], 16n);
}

/** An IPv6 address may end with an IPv4 one (RFC 4291 section 2.2). */
function withoutDots(text: string): string {
  const start = text.lastIndexOf(':') + 1;
  const end = text.slice(start);
  if (start === 0 || !ipv4.test(end)) return text;
  const bits = join(end.split('.'), 8n);
  return `${text.slice(0, start)}${(bits >> 16n).toString(16)}:${(bits & 0xffffn).toString(16)}`;
}

function groupsOf(text: string): string[] | undefined {
  const groups = text === '' ? [] : text.split(':');
  return groups.every((each) => group.test(each)) ? groups.map((each) => `0x${each}`) : undefined;
}

function join(parts: readonly string[], width: bigint): bigint {
  return parts.reduce((bits, part) => (bits << width) | BigInt(part), 0n);
}
