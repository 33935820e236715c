import type { HttpRequest } from '../../runtime/engine/index.ts';
import type {
  AccessRule,
  Clock,
  HttpAction,
  HttpMatch,
  HttpRule,
  ObjectReference,
  PathMatch,
  Random,
  ValueMatch,
  WeightedBackend,
} from '../../runtime/model/index.ts';

export const prefix = (value: string): PathMatch => ({ kind: 'prefix', value });
export const exact = (value: string): PathMatch => ({ kind: 'exact', value });
export const regex = (value: string): PathMatch => ({ kind: 'regex', value });
export const is = (name: string, value: string): { name: string; value: ValueMatch } => ({
  name,
  value: { kind: 'exact', value },
});

export function match(path: PathMatch, rest: Partial<Omit<HttpMatch, 'path'>> = {}): HttpMatch {
  return { path, headers: [], query: [], ...rest };
}

export function to(service: string, weight = 1, rest: Partial<WeightedBackend> = {}): WeightedBackend {
  return { target: { service, port: 80 }, weight, ...rest };
}

export function forward(...backends: WeightedBackend[]): HttpAction {
  return { kind: 'forward', backends };
}

export function rule(name: string, matches: readonly HttpMatch[], rest: Partial<HttpRule> = {}): HttpRule {
  const route: ObjectReference = { kind: 'HTTPRoute', namespace: 'shop', name: 'reviews' };
  return { route, name, matches, mirrors: [], timeouts: {}, action: forward(to('shop/reviews')), ...rest };
}

export function request(path: string, rest: Partial<HttpRequest> = {}): HttpRequest {
  return { method: 'GET', authority: 'reviews.shop', path, query: '', headers: [], ...rest };
}

export function accessRule(action: 'allow' | 'deny', rest: Partial<AccessRule> = {}): AccessRule {
  return { name: action, action, from: [], to: [], ...rest };
}

export const shopPolicy: ObjectReference = { kind: 'AccessPolicy', namespace: 'shop', name: 'reviews' };

/** A clock that stands still until it is told otherwise. */
export function createClock(): Pick<Clock, 'now' | 'wallTime' | 'schedule'> & { advance(milliseconds: number): void } {
  let now = 0;
  return {
    now: () => now,
    wallTime: () => now,
    schedule: () => ({ cancel: () => {} }),
    advance: (milliseconds) => {
      now += milliseconds;
    },
  };
}

/** Repeatable numbers (mulberry32). */
export function createRandom(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
