import * as z from 'zod';
import { objectMeta } from './metadata.ts';
import { apiVersion, durationFrom, servicePortRef, status, targetRefs } from './policy.ts';
import { withRule } from './rule.ts';

const count = z.int().min(1).max(1_000_000);
const percent = z.int().min(1).max(100);

const failurePercentage = z.strictObject({
  threshold: percent.describe('Percent of failures that is too much.'),
  minRequests: count.describe('With fewer in the interval, nothing is said. Absent: 20.').optional(),
  interval: durationFrom('1s', '1h').describe('In which they are counted. Absent: 10s.').optional(),
});

const spec = withRule(
  z.strictObject({
    targetRefs: targetRefs(servicePortRef),
    consecutive5xxErrors: count
      .describe(
        'So many failures in a row: statuses 5xx, connections that are refused or break, tries that take too long.',
      )
      .optional(),
    consecutiveGatewayErrors: count
      .describe('So many in a row of 502, 503, 504, connections that are refused or break, tries that take too long.')
      .optional(),
    failurePercentage: failurePercentage.describe('A share of failures within an interval.').optional(),
    baseEjectionTime: durationFrom('1s', '1h')
      .describe('Of the first ejection; the nth in a row takes n times as long. Absent: 30s.')
      .optional(),
    maxEjectionTime: durationFrom('1s', '24h')
      .describe(
        'No ejection takes longer, but for the tenth that chance may add. Absent: 5m, or the base where that is longer.',
      )
      .optional(),
    maxEjectionPercent: percent
      .describe('The part of the endpoints that may be ejected at once, rounded down. Absent: 50.')
      .optional(),
  }),
  {
    message: 'must have consecutive5xxErrors, consecutiveGatewayErrors or failurePercentage',
    cel: 'has(self.consecutive5xxErrors) || has(self.consecutiveGatewayErrors) || has(self.failurePercentage)',
    holds: ({ consecutive5xxErrors, consecutiveGatewayErrors, failurePercentage }) =>
      (consecutive5xxErrors ?? consecutiveGatewayErrors ?? failurePercentage) !== undefined,
  },
  {
    message: 'maxEjectionTime must not be shorter than baseEjectionTime, which is 30s where absent',
    cel: "!has(self.maxEjectionTime) || duration(self.maxEjectionTime) >= duration(has(self.baseEjectionTime) ? self.baseEjectionTime : '30s')",
  },
);

export const outlierDetectionPolicy = z.strictObject({
  apiVersion,
  kind: z.literal('OutlierDetectionPolicy'),
  metadata: objectMeta,
  spec: spec.describe(
    'When callers leave an endpoint of a Service alone for a while, as it fails. Each proxy judges by what it sees itself.',
  ),
  status: status.optional(),
});

export type OutlierDetectionPolicyObject = z.infer<typeof outlierDetectionPolicy>;
