import type { Balancer, HashKey } from '../../model/index.ts';
import { readQuery } from '../matcher.ts';
import { cookieValue, type HttpRequest, headerValue } from '../request.ts';

/**
 * Reads the key by which a balancer is to pick. There is no request where bytes are passed on as they come; `source`
 * names the caller, where that is known.
 */
export type KeyReader = (request: HttpRequest | undefined, source: string | undefined) => string | undefined;

/** `undefined` where the balancer looks at no key. */
export function compileKey(balancer: Balancer): KeyReader | undefined {
  const key = keyOf(balancer);
  if (key === undefined) return undefined;
  if (key.kind === 'source') return (_request, source) => source;
  const { kind, name } = key;
  if (kind === 'cookie') return (request) => request && cookieValue(request.headers, name);
  if (kind === 'query') {
    const read = readQuery(name);
    return (request) => request && read(request);
  }
  if (name === 'host') return (request) => request?.authority;
  return (request) => request && headerValue(request.headers, name);
}

/** What leads a request to one endpoint rather than another. */
export function keyOf(balancer: Balancer): HashKey | undefined {
  if ('by' in balancer) return balancer.by;
  return balancer.session && { kind: 'cookie', name: balancer.session.name };
}
