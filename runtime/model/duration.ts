const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** Milliseconds of a Gateway API duration (GEP-2257): `1m30s`. The schema has checked its form. */
export function parseDuration(text: string): number {
  let milliseconds = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|h|m|s)/g)) milliseconds += Number(amount) * units[unit];
  return milliseconds;
}
