import type { Duration } from 'cdk8s';
import type { IConstruct } from 'constructs';
import type { Check } from './check.ts';
import { reportLiteral } from './outputs.ts';

const units = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;
const maxHours = 99_999;

/** Writes a duration as the Gateway API reads it (GEP-2257): `1m30s`, `500ms`. */
export function formatDuration(duration: Duration): string {
  let rest = duration.toMilliseconds({ integral: false });
  let text = '';
  for (const [unit, length] of units) {
    const count = Math.floor(rest / length);
    if (count) text += `${count}${unit}`;
    rest -= count * length;
  }
  return text || '0s';
}

/** Whether the Gateway API has it: whole milliseconds, and not too many (GEP-2257). */
export function isGatewayDuration(milliseconds: number): boolean {
  return Number.isInteger(milliseconds) && milliseconds >= 0 && milliseconds <= maxHours * 3_600_000;
}

export function checkDuration(check: Check, construct: IConstruct, what: string, duration: Duration): void {
  const milliseconds = duration.toMilliseconds({ integral: false });
  if (Number.isNaN(milliseconds)) {
    reportLiteral(check, construct, what);
    return;
  }
  if (isGatewayDuration(milliseconds) && milliseconds > 0) return;
  check.report(
    'MW1245',
    construct,
    `${what} is ${milliseconds} ms; allowed are whole milliseconds from 1 ms to ${maxHours} hours`,
    'use for example Duration.seconds(2), or leave it out for no limit',
  );
}
