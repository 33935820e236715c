import { parseDuration } from '../model/index.ts';

/** What is wrong with one field of an object. */
export interface Problem {
  readonly path: string;
  readonly message: string;
  readonly hint: string;
}

/** Says where a duration is out of its limits, which the API server checks as well; without `most` none is too long. */
export function outOfLimits(
  path: string,
  value: string | undefined,
  least: string,
  most?: string,
): Problem | undefined {
  if (value === undefined) return undefined;
  const length = parseDuration(value);
  if (length >= parseDuration(least) && (most === undefined || length <= parseDuration(most))) return undefined;
  return {
    path,
    message: `${value} is out of limits; allowed are ${most === undefined ? `${least} and more` : `${least} to ${most}`}`,
    hint: `use a duration of at least ${least}${most === undefined ? '' : ` and at most ${most}`}`,
  };
}
