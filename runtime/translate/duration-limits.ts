import { parseDuration } from '../model/index.ts';

/** What is wrong with one field of an object. */
export interface Problem {
  readonly path: string;
  readonly message: string;
  readonly hint: string;
}

/** Says where a duration is out of its limits, which the API server checks as well. */
export function outOfLimits(path: string, value: string | undefined, least: string, most: string): Problem | undefined {
  if (value === undefined) return undefined;
  const length = parseDuration(value);
  if (length >= parseDuration(least) && length <= parseDuration(most)) return undefined;
  return {
    path,
    message: `${value} is out of limits; allowed are ${least} to ${most}`,
    hint: `use a duration of at least ${least} and at most ${most}`,
  };
}
