import type { HttpMatch } from '../model/index.ts';
import { firstOfEachName, prefixOf } from './matcher.ts';

interface Criterion {
  /** Why the one with the higher rank comes first. */
  readonly reason: string;
  rank(match: HttpMatch): number;
}

const pathRank = { exact: 2, regex: 1, prefix: 0 } as const;

/** The Gateway API's order of matches. What ties on all of it keeps the order of the rules. */
const criteria: readonly Criterion[] = [
  {
    reason: 'an exact path comes before a pattern, a pattern before a prefix',
    rank: ({ path }) => pathRank[path.kind],
  },
  {
    reason: 'the longer path prefix comes first',
    rank: ({ path }) => (path.kind === 'prefix' ? prefixOf(path.value).length : 0),
  },
  { reason: 'a condition on the method comes first', rank: ({ method }) => (method === undefined ? 0 : 1) },
  { reason: 'more conditions on headers come first', rank: ({ headers }) => firstOfEachName(headers).length },
  { reason: 'more conditions on query parameters come first', rank: ({ query }) => firstOfEachName(query).length },
];

/** Negative where `left` comes first, 0 where the order of the rules decides. */
export function comparePrecedence(left: HttpMatch, right: HttpMatch): number {
  for (const { rank } of criteria) {
    const difference = rank(right) - rank(left);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Why `winner`, which comes first, does. */
export function explainPrecedence(winner: HttpMatch, loser: HttpMatch): string {
  return criteria.find(({ rank }) => rank(winner) !== rank(loser))?.reason ?? 'the earlier rule comes first';
}
