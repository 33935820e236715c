/** Why a regular expression cannot be used; `undefined` where it can. */
export function patternProblem(pattern: string): string | undefined {
  try {
    new RegExp(`^(?:${pattern})$`);
    return undefined;
  } catch (error) {
    return `${pattern} is not a regular expression: ${(error as Error).message}`;
  }
}
