import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { fieldsOfStranger, type Trust } from '../engine/index.ts';
import type { StrangerSettings } from '../model/index.ts';
import type { RequestHead } from '../net/index.ts';

/** What a proxy believes of callers without identity, compiled. */
export class Strangers {
  readonly #trusted = new BlockList();
  /** Whether names with `_` pass a gateway. */
  readonly keepsUnderscores: boolean;

  /** Throws where a network is none. */
  constructor({ trustedProxies = [], underscores }: StrangerSettings = {}) {
    this.keepsUnderscores = underscores === 'keep';
    for (const network of trustedProxies) {
      const [address, bits] = network.split('/');
      const family = isIPv4(address) ? 'ipv4' : 'ipv6';
      if (isIP(address) === 0) throw new Error(`trusted proxy ${network} is no network such as 10.0.0.0/8`);
      this.#trusted.addSubnet(address, Number(bits), family);
    }
  }

  /**
   * Whether what a caller (`address:port`) says of its own clients counts. Not where it begins with a PROXY header: then
   * the address is one that it claims.
   */
  trusts(caller: string, proxied: boolean): boolean {
    const [address] = addressOf(caller).split('%');
    return !proxied && isIP(address) !== 0 && this.#trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  }
}

/** Leaves of a request what its caller may say, and adds where it came from. */
export function admitStranger(head: RequestHead, caller: string, trust: Trust): void {
  const headers = fieldsOfStranger(head.headers, trust);
  const tell = (name: string, value: string) => {
    if (!trust.forwarded || !headers.some((each, index) => index % 2 === 0 && each === name)) headers.push(name, value);
  };
  tell('x-forwarded-for', addressOf(caller));
  tell('x-forwarded-proto', head.scheme);
  tell('x-forwarded-host', head.authority);
  head.headers = headers;
}

function addressOf(caller: string): string {
  return caller.slice(0, caller.lastIndexOf(':'));
}
