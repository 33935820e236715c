import type { Clock } from '../model/index.ts';

interface BucketSize {
  /** Milliseconds in which a bucket regains one token. */
  readonly perToken: number;
  /** Tokens of a full bucket. */
  readonly burst: number;
}

/** Token buckets, chosen by the request. */
export interface Buckets<Request> {
  /** Takes a token and returns 0, or returns the milliseconds until there is one. */
  take(request: Request): number;
  /** Returns a token that was just taken. */
  giveBack(request: Request): void;
  /** What is left, and in how many milliseconds all of it is back. */
  level(request: Request): BucketLevel;
}

export interface BucketLevel {
  readonly tokens: number;
  readonly fullIn: number;
}

/*
 * A bucket is one number: the time at which it will be full. Taking a token moves that time by `perToken`; a bucket
 * that was never used is full since ever.
 */
const sinceEver = Number.NEGATIVE_INFINITY;
/** Sums of fractions of a millisecond are not exact. */
const rounding = 1e-6;

/** One bucket for all. */
export function oneBucket({ perToken, burst }: BucketSize, clock: Clock): Buckets<unknown> {
  let fullAt = sinceEver;
  return {
    take() {
      const now = clock.now();
      const wait = waitFor(fullAt, now, perToken, burst);
      if (wait === 0) fullAt = Math.max(fullAt, now) + perToken;
      return wait;
    },
    giveBack() {
      fullAt -= perToken;
    },
    level: () => levelOf(fullAt, clock.now(), perToken, burst),
  };
}

/** Buckets kept at once; beyond, the one that was not used for longest is forgotten, as if it were full. */
const maxBuckets = 4096;
/** Longer keys would make memory grow: they share the bucket of those that have none. */
const maxKeyLength = 256;

/** A bucket for each key. */
export function keyedBuckets<Request>(
  { perToken, burst }: BucketSize,
  clock: Clock,
  keyOf: (request: Request) => string,
): Buckets<Request> {
  /** In the order of their last use. */
  const fullAt = new Map<string, number>();
  const bounded = (request: Request) => {
    const key = keyOf(request);
    return key.length > maxKeyLength ? '' : key;
  };
  return {
    take(request) {
      const key = bounded(request);
      const before = fullAt.get(key);
      const now = clock.now();
      const wait = waitFor(before ?? sinceEver, now, perToken, burst);
      const after = wait === 0 ? Math.max(before ?? sinceEver, now) + perToken : before!;
      if (before !== undefined) fullAt.delete(key);
      else if (fullAt.size >= maxBuckets) fullAt.delete(fullAt.keys().next().value!);
      fullAt.set(before === undefined ? copyOf(key) : key, after);
      return wait;
    },
    giveBack(request) {
      const key = bounded(request);
      fullAt.set(key, fullAt.get(key)! - perToken);
    },
    level: (request) => levelOf(fullAt.get(bounded(request)) ?? sinceEver, clock.now(), perToken, burst),
  };
}

function waitFor(fullAt: number, now: number, perToken: number, burst: number): number {
  const wait = fullAt - now - (burst - 1) * perToken;
  return wait > rounding ? wait : 0;
}

function levelOf(fullAt: number, now: number, perToken: number, burst: number): BucketLevel {
  const fullIn = Math.max(0, fullAt - now);
  return { tokens: Math.max(0, Math.floor(burst - fullIn / perToken + rounding)), fullIn };
}

/** A part of a larger text holds on to all of it; a copy does not. */
function copyOf(text: string): string {
  return Buffer.from(text).toString();
}
