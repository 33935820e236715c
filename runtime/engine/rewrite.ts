import type { HttpMatch, PathChange, Redirect } from '../model/index.ts';
import { prefixOf } from './matcher.ts';
import { formatTarget } from './path.ts';
import { type HttpRequest, hostOf, portOf } from './request.ts';

/**
 * Replaces a normalised path, or the prefix of it that `match` matched (Gateway API `ReplacePrefixMatch`: whole
 * segments, never two slashes in a row).
 */
export function rewritePath(path: string, change: PathChange | undefined, match: HttpMatch): string {
  if (!change) return path;
  if (change.kind === 'full') return change.value || '/';
  if (match.path.kind !== 'prefix') return path;
  const replacement = change.value.endsWith('/') ? change.value.slice(0, -1) : change.value;
  return replacement + path.slice(prefixOf(match.path.value).length) || '/';
}

/** A request with what a redirect keeps of it. */
export interface RedirectedRequest extends Pick<HttpRequest, 'authority' | 'path' | 'query'> {
  readonly scheme: 'http' | 'https';
  /** Where the request came in, for clients that do not say a port: the port of the gateway's listener. */
  readonly listenerPort?: number;
}

const wellKnownPorts = { http: 80, https: 443 } as const;

/** The `location` of a redirect. A new scheme brings its well-known port, which is never written. */
export function redirectLocation(request: RedirectedRequest, redirect: Redirect, match: HttpMatch): string {
  const scheme = redirect.scheme ?? request.scheme;
  const host = redirect.host ?? hostOf(request.authority);
  const kept = portOf(request.authority) ?? request.listenerPort;
  const port = redirect.port ?? (redirect.scheme ? wellKnownPorts[scheme] : kept);
  const suffix = port === undefined || port === wellKnownPorts[scheme] ? '' : `:${port}`;
  const path = rewritePath(request.path, redirect.path, match);
  return `${scheme}://${host}${suffix}${formatTarget({ path, query: request.query })}`;
}
