import type { HttpMatch, HttpRule, VirtualHost } from '../model/index.ts';
import { type CompiledCors, compileCors } from './cors.ts';
import { findByHost } from './host-names.ts';
import { exactOf, type Matcher, matchDetails, matchPath, prefixOf } from './matcher.ts';
import { comparePrecedence } from './precedence.ts';
import { type HttpRequest, hostOf } from './request.ts';

/** One alternative of a rule, compiled. Made once: routing hands out the same objects for every request. */
export interface RouteMatch {
  readonly rule: HttpRule;
  /** The alternative of the rule that matched. */
  readonly match: HttpMatch;
  readonly path: Matcher<string>;
  /** The conditions other than the path. */
  readonly details: readonly Matcher<HttpRequest>[];
  /** Of the rule; absent where it says nothing of origins. */
  readonly cors: CompiledCors | undefined;
}

/** Rules compiled for one port. */
export interface Router {
  /** The match that decides by the Gateway API's precedence; `undefined` where none matches. */
  route(request: HttpRequest): RouteMatch | undefined;
  /** Every match that is considered for a host, in order of precedence. */
  candidates(authority: string): readonly RouteMatch[];
}

/** Compiles rules that hold for every host. */
export function compileRules(rules: readonly HttpRule[]): Router {
  const candidates = rules
    .flatMap((rule) => {
      const cors = rule.cors && compileCors(rule.cors);
      return rule.matches.map((match) => ({
        rule,
        match,
        path: matchPath(match.path),
        details: matchDetails(match),
        cors,
      }));
    })
    .sort((left, right) => comparePrecedence(left.match, right.match));
  const exact = new Map<string, RouteMatch[]>();
  const patterns: RouteMatch[] = [];
  const prefixes = new Map<string, RouteMatch[]>();
  for (const candidate of candidates) {
    const { kind, value } = candidate.match.path;
    if (kind === 'regex') patterns.push(candidate);
    else if (kind === 'exact') append(exact, exactOf(value), candidate);
    else append(prefixes, prefixOf(value), candidate);
  }
  const longestPrefix = Math.max(0, ...Array.from(prefixes.keys(), (prefix) => prefix.length));

  function routePrefix(request: HttpRequest): RouteMatch | undefined {
    const { path } = request;
    let end = path.length <= longestPrefix ? path.length : path.lastIndexOf('/', longestPrefix);
    for (;;) {
      const found = firstMatch(prefixes.get(path.slice(0, Math.max(end, 0))), request);
      if (found || end <= 0) return found;
      end = path.lastIndexOf('/', end - 1);
    }
  }

  return {
    route: (request) =>
      firstMatch(exact.get(request.path), request) ??
      patterns.find((candidate) => candidate.path.test(request.path) && testAll(candidate.details, request)) ??
      routePrefix(request),
    candidates: () => candidates,
  };
}

/**
 * Compiles the virtual hosts of a listener. The most specific host name decides which rules are looked at: an exact
 * one before the longest wildcard before `*`; the others are not tried afterwards.
 */
export function compileVirtualHosts(hosts: readonly VirtualHost[]): Router {
  const rulesOf = new Map<string, HttpRule[]>();
  for (const { hostnames, rules } of hosts) {
    for (const hostname of hostnames) append(rulesOf, hostname.toLowerCase(), ...rules);
  }
  const routers = new Map(Array.from(rulesOf, ([hostname, rules]) => [hostname, compileRules(rules)]));

  function find(authority: string): Router | undefined {
    return findByHost(routers, hostOf(authority)) ?? routers.get('*');
  }

  return {
    route: (request) => find(request.authority)?.route(request),
    candidates: (authority) => find(authority)?.candidates(authority) ?? [],
  };
}

function firstMatch(candidates: readonly RouteMatch[] | undefined, request: HttpRequest): RouteMatch | undefined {
  if (candidates === undefined) return undefined;
  for (const candidate of candidates) if (testAll(candidate.details, request)) return candidate;
  return undefined;
}

function testAll(details: readonly Matcher<HttpRequest>[], request: HttpRequest): boolean {
  for (const detail of details) if (!detail.test(request)) return false;
  return true;
}

function append<Item>(lists: Map<string, Item[]>, key: string, ...items: Item[]) {
  const list = lists.get(key);
  if (list) list.push(...items);
  else lists.set(key, items);
}
