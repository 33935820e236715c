import * as z from 'zod';
import {
  type LimitsAs,
  type ProxyLimitName,
  parseDuration,
  proxyLimitMeanings,
  proxyLimitNames,
  proxyLimits,
} from '../model/index.ts';
import { duration } from './routes.ts';
import { withRule } from './rule.ts';

function schemaOf(name: ProxyLimitName): z.ZodOptional {
  const { unit, least, most } = proxyLimits[name];
  const meaning = proxyLimitMeanings[name];
  const description = `${meaning[0].toUpperCase()}${meaning.slice(1)}.`;
  if (unit !== 'milliseconds')
    return z
      .int()
      .min(least)
      .max(most)
      .describe(`${description} ${defaultOf(name)}`)
      .optional();
  return withRule(duration, {
    message: `must be from ${least}ms to ${most}ms`,
    cel: `duration(self) >= duration('${least}ms') && duration(self) <= duration('${most}ms')`,
    holds: (text) => parseDuration(text) >= least && parseDuration(text) <= most,
  })
    .describe(`${description} ${defaultOf(name)}`)
    .optional();
}

function defaultOf(name: ProxyLimitName): string {
  const { unit, default: value } = proxyLimits[name];
  return `Default: ${value}${unit === 'milliseconds' ? 'ms' : ''}.`;
}

/** What a Mesh may say of the bounds of its proxies; durations as the Gateway API writes them. */
export const limits = z.strictObject(
  Object.fromEntries(proxyLimitNames.map((name) => [name, schemaOf(name)])),
) as unknown as z.ZodType<LimitsAs<string, number>>;
