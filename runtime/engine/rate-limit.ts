import {
  type Clock,
  describeReference,
  type InboundPort,
  type ObjectReference,
  type RateLimit,
  type RateLimitKey,
  type RateLimitPolicy,
} from '../model/index.ts';
import { type AccessRequest, matchOperations } from './access.ts';
import { type BucketLevel, type Buckets, keyedBuckets, oneBucket } from './buckets.ts';
import type { Matcher } from './matcher.ts';
import { headerValue } from './request.ts';

/** What a rate limit looks at. On TCP ports there is only the caller. */
export interface RateLimitRequest extends AccessRequest {
  /** `[name, value, name, value, …]`, names lower-case. */
  readonly headers?: readonly string[];
}

export interface RateLimitRefusal {
  readonly policy: ObjectReference;
  readonly limit: RateLimit;
  /** Milliseconds until there is a token again. */
  readonly retryAfter: number;
  readonly reason: string;
}

/** A limit with its buckets. */
interface CompiledRateLimit {
  readonly policy: ObjectReference;
  readonly limit: RateLimit;
  /** All must hold for a request to be counted. */
  readonly conditions: readonly Matcher<AccessRequest>[];
  /** Takes a token where the limit counts the request; returns how long to wait where there is none, else 0. */
  take(request: RateLimitRequest): number;
  giveBack(request: RateLimitRequest): void;
  /** What is left for such requests; `undefined` where the limit does not count them. */
  level(request: RateLimitRequest): BucketLevel | undefined;
}

/** The limits of one port. A limit that other proxies share would be another `CompiledRateLimit`. */
export interface RateLimiter {
  /** Takes a token of every limit that counts the request, or none where one of them refuses. */
  admit(request: RateLimitRequest): RateLimitRefusal | undefined;
  readonly limits: readonly CompiledRateLimit[];
  /** The fields about what is left after a request that was admitted; absent where no policy asks for them. */
  readonly report?: (request: RateLimitRequest) => string[];
}

/**
 * Compiles the policies of a workload for those of its ports that have limits. A limit on several ports has the same
 * buckets at all of them.
 *
 * @param former - what was in force: limits that are still the same keep their buckets
 */
export function compileRateLimits(
  policies: readonly RateLimitPolicy[],
  ports: readonly InboundPort[],
  clock: Clock,
  former: ReadonlyMap<number, RateLimiter> = new Map(),
): ReadonlyMap<number, RateLimiter> {
  const kept = new Map([...former.values()].flatMap(({ limits }) => limits.map((limit) => [identityOf(limit), limit])));
  const compiled = policies.map(({ policy, ports, headers, limits }) => ({
    ports,
    headers,
    limits: limits.map((limit) => kept.get(identityOf({ policy, limit })) ?? compileLimit(policy, limit, clock)),
  }));
  const limiters = new Map<number, RateLimiter>();
  for (const { port } of ports) {
    const holding = compiled.filter(({ ports }) => ports === undefined || ports.includes(port));
    const limits = holding.flatMap(({ limits }) => limits);
    if (limits.length === 0) continue;
    const told = holding.flatMap(({ headers, limits }) => (headers === 'always' ? limits : []));
    limiters.set(port, {
      limits,
      admit: (request) => admit(limits, request),
      ...(told.length > 0 && { report: (request) => report(told, request) }),
    });
  }
  return limiters;
}

/** For example `100 requests in 60 s, up to 20 at once, for each caller`. */
function describeRateLimit({ requests, interval, burst, key }: RateLimit): string {
  const time = interval % 1000 === 0 ? `${interval / 1000} s` : `${interval} ms`;
  return `${requests} in ${time}, up to ${burst} at once, ${scopes[key.kind](key)}`;
}

/** `Retry-After`, and what draft-ietf-httpapi-ratelimit-headers-10 says of the limit that refused. */
export function rateLimitFields({ limit, retryAfter }: RateLimitRefusal): string[] {
  const seconds = Math.max(1, Math.ceil(retryAfter / 1000));
  return [
    'retry-after',
    String(seconds),
    'ratelimit-policy',
    quotaOf(limit),
    'ratelimit',
    `"${limit.name}";r=0;t=${seconds}`,
  ];
}

/** A window is in whole seconds (draft section 3.1.2); where it is not, it is left out. */
function quotaOf({ name, requests, interval }: RateLimit): string {
  const window = interval % 1000 === 0 ? `;w=${interval / 1000}` : '';
  return `"${name}";q=${requests}${window}`;
}

/** What is left of the limits that count a request. It is all back after `t`. */
function report(limits: readonly CompiledRateLimit[], request: RateLimitRequest): string[] {
  const quotas: string[] = [];
  const levels: string[] = [];
  for (const { limit, level } of limits) {
    const left = level(request);
    if (!left) continue;
    quotas.push(quotaOf(limit));
    levels.push(`"${limit.name}";r=${left.tokens};t=${Math.ceil(left.fullIn / 1000)}`);
  }
  return quotas.length > 0 ? ['ratelimit-policy', quotas.join(', '), 'ratelimit', levels.join(', ')] : [];
}

export interface RateLimitConsideration {
  readonly policy: ObjectReference;
  readonly limit: RateLimit;
  /** Whether the request takes a token of it. */
  readonly counted: boolean;
  /** The limit and the conditions that held, or the first that did not. */
  readonly reason: string;
}

/** Says of each limit of a port whether it counts a request. Takes no tokens. */
export function explainRateLimits(limiter: RateLimiter, request: RateLimitRequest): readonly RateLimitConsideration[] {
  return limiter.limits.map(({ policy, limit, conditions }) => {
    const failing = conditions.find((condition) => !condition.test(request));
    if (failing) return { policy, limit, counted: false, reason: `not so: ${failing.describe()}` };
    const held = conditions.map((condition) => condition.describe());
    return { policy, limit, counted: true, reason: [describeRateLimit(limit), ...held].join(', ') };
  });
}

const scopes: Readonly<Record<RateLimitKey['kind'], (key: RateLimitKey) => string>> = {
  total: () => 'in total',
  caller: () => 'for each caller',
  header: (key) => `for each value of header ${key.kind === 'header' ? key.name : ''}`,
};

function admit(limits: readonly CompiledRateLimit[], request: RateLimitRequest): RateLimitRefusal | undefined {
  for (let index = 0; index < limits.length; index++) {
    const retryAfter = limits[index].take(request);
    if (retryAfter === 0) continue;
    for (const taken of limits.slice(0, index)) taken.giveBack(request);
    const { policy, limit } = limits[index];
    const reason = `limited by ${limit.name} of ${describeReference(policy)}: ${describeRateLimit(limit)}`;
    return { policy, limit, retryAfter, reason };
  }
  return undefined;
}

function compileLimit(policy: ObjectReference, limit: RateLimit, clock: Clock): CompiledRateLimit {
  // Where the request does not tell what it asks for, it is counted.
  const conditions = matchOperations(limit.to, true);
  const buckets = bucketsOf(limit, clock);
  const counts = (request: RateLimitRequest) => {
    for (const condition of conditions) if (!condition.test(request)) return false;
    return true;
  };
  return {
    policy,
    limit,
    conditions,
    take: (request) => (counts(request) ? buckets.take(request) : 0),
    giveBack: (request) => {
      if (counts(request)) buckets.giveBack(request);
    },
    level: (request) => (counts(request) ? buckets.level(request) : undefined),
  };
}

function bucketsOf({ requests, interval, burst, key }: RateLimit, clock: Clock): Buckets<RateLimitRequest> {
  const size = { perToken: interval / requests, burst };
  switch (key.kind) {
    case 'total':
      return oneBucket(size, clock);
    case 'caller':
      return keyedBuckets(size, clock, ({ principal }) =>
        principal ? `${principal.namespace}/${principal.serviceAccount}` : '',
      );
    case 'header':
      return keyedBuckets(size, clock, ({ headers = [] }) => headerValue(headers, key.name) ?? '');
  }
}

function identityOf({ policy, limit }: Pick<CompiledRateLimit, 'policy' | 'limit'>): string {
  return JSON.stringify([policy, limit]);
}
