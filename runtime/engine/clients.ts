import type { StrangerSettings } from '../model/index.ts';
import type { ClientDecision } from './decision.ts';
import { admitFields, fieldsOfStranger } from './forwarded-fields.ts';
import { compileNetworks, isAddress } from './networks.ts';
import { type HttpRequest, headerValue } from './request.ts';

/**
 * What a proxy makes of a caller's address; `undefined` where that is not known.
 *
 * @param proxied - whether connections begin with a PROXY header
 */
export function decideClient(
  address: string | undefined,
  strangers: StrangerSettings | undefined,
  proxied = false,
): ClientDecision | undefined {
  if (address === undefined) return undefined;
  if (!isAddress(address)) throw new Error(`client ${address} is no address of IPv4 or IPv6`);
  if (proxied) {
    return { address, trusted: false, reason: 'its address is a claim of its PROXY header, so it is no trusted proxy' };
  }
  const network = strangers?.trustedProxies?.find((each) => compileNetworks([each])(address));
  return network === undefined
    ? { address, trusted: false, reason: 'it is no trusted proxy, so what it says of its clients is removed' }
    : { address, trusted: true, reason: `it is a trusted proxy of ${network}, so what it says of its clients counts` };
}

/**
 * A request as a proxy takes it of a caller without identity.
 *
 * @param underscores - whether names with `_` pass
 */
export function admit(request: HttpRequest, client: ClientDecision | undefined, underscores: boolean): HttpRequest {
  const trust = { forwarded: client?.trusted ?? false, underscores };
  const { headers } = request;
  if (!client) return { ...request, headers: fieldsOfStranger(headers, trust) };
  const authority = headerValue(headers, 'host') ?? request.authority;
  return { ...request, headers: admitFields(headers, { client: client.address, scheme: 'http', authority }, trust) };
}
