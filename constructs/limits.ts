import { Duration } from 'cdk8s';
import type { IConstruct } from 'constructs';
import { type LimitsAs, proxyLimitNames, proxyLimits } from '../runtime/model/index.ts';
import { isUnknown } from './placeholder.ts';
import type { Check } from './synth/check.ts';
import { formatDuration } from './synth/duration.ts';
import { reportLiteral } from './synth/outputs.ts';

/** Bounds of the proxies of a mesh, each with a default that holds where it is not stated: docs/security.md. */
export type MeshLimits = LimitsAs<Duration, number>;

/** As the Mesh object has them. */
export function formatLimits(limits: MeshLimits): LimitsAs<string, number> {
  return Object.fromEntries(
    Object.entries(limits)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, value instanceof Duration ? formatDuration(value) : value]),
  );
}

/** Reports limits that are out of bounds. */
export function checkLimits(check: Check, mesh: IConstruct, limits: MeshLimits): void {
  for (const name of proxyLimitNames) {
    const given = limits[name];
    if (given === undefined) continue;
    const { unit, least, most } = proxyLimits[name];
    const value = given instanceof Duration ? given.toMilliseconds({ integral: false }) : given;
    if (isUnknown(value)) continue;
    if (Number.isNaN(value)) reportLiteral(check, mesh, `limit ${name}`);
    else if (!Number.isInteger(value) || value < least || value > most) {
      const suffix = unit === 'milliseconds' ? ' ms' : '';
      check.report(
        'MW1149',
        mesh,
        `limit ${name} is ${value}${suffix}; allowed are whole numbers from ${least} to ${most}${suffix}`,
        `leave it out for the default of ${proxyLimits[name].default}${suffix}`,
      );
    }
  }
}
