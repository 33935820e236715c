import { admitFields, compileNetworks, type NetworkTest, type Trust } from '../engine/index.ts';
import type { StrangerSettings } from '../model/index.ts';
import type { RequestHead } from '../net/index.ts';

/** What a proxy believes of callers without identity, compiled. */
export class Strangers {
  readonly #isTrusted: NetworkTest;
  /** Whether names with `_` pass a gateway. */
  readonly keepsUnderscores: boolean;

  /** Throws where a network is none. */
  constructor({ trustedProxies = [], underscores }: StrangerSettings = {}) {
    this.keepsUnderscores = underscores === 'keep';
    this.#isTrusted = compileNetworks(trustedProxies);
  }

  /**
   * Whether what a caller (`address:port`) says of its own clients counts. Not where it begins with a PROXY header: then
   * the address is one that it claims.
   */
  trusts(caller: string, proxied: boolean): boolean {
    const [address] = addressOf(caller).split('%');
    return !proxied && this.#isTrusted(address);
  }
}

/** Leaves of a request what its caller may say, and adds where it came from. */
export function admitStranger(head: RequestHead, caller: string, trust: Trust): void {
  const { scheme, authority } = head;
  head.headers = admitFields(head.headers, { client: addressOf(caller), scheme, authority }, trust);
}

function addressOf(caller: string): string {
  return caller.slice(0, caller.lastIndexOf(':'));
}
