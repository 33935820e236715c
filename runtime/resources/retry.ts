import * as z from 'zod';
import { objectMeta, objectName } from './metadata.ts';
import { groups } from './names.ts';
import { apiVersion, grpcStatus, status, targetRefs } from './policy.ts';
import { duration } from './routes.ts';
import { admission, withRule } from './rule.ts';

const text = z.string();

const target = withRule(
  z.strictObject({
    group: z.enum([groups.core, groups.gateway]).describe('Empty for a Service.'),
    kind: z.enum(['Service', 'HTTPRoute', 'GRPCRoute']),
    name: objectName.describe('An object of the same namespace.'),
    sectionName: text.min(1).max(253).describe('Name of one rule of the route. Absent: all of them.').optional(),
  }),
  {
    message: 'a Service is of the core group and has no sectionName here; routes are of gateway.networking.k8s.io',
    cel: "self.kind == 'Service' ? self.group == '' && !has(self.sectionName) : self.group != ''",
    holds: ({ kind, group, sectionName }) =>
      kind === 'Service' ? group === groups.core && sectionName === undefined : group !== groups.core,
  },
);

const retry = z.strictObject({
  attempts: z.int().min(1).max(100).describe('Tries beyond the first.'),
  grpcStatuses: z
    .array(grpcStatus)
    .min(1)
    .max(16)
    .describe(
      'How a call may end to be repeated, if it had not answered anything else. Absent: only what certainly was not processed.',
    )
    .optional(),
  backoff: duration.describe('Before the first repetition; doubled each time, with jitter. Absent: 25ms.').optional(),
});

const hedging = z.strictObject({
  delay: duration
    .describe('After which a second try begins if the first has not begun to answer.')
    .meta(admission({ message: 'must not be 0', cel: "duration(self) > duration('0s')" })),
});

/** `RetryConstraint` of GEP-3388. */
const retryConstraint = z.strictObject({
  budget: z
    .strictObject({
      percent: z.int().min(0).max(100).describe('Of the requests that may be repetitions. Absent: 20.').optional(),
      interval: duration
        .describe('In which the requests are counted. Absent: 10s.')
        .meta(
          admission({
            message: 'must be from 1s to 1h',
            cel: "duration(self) >= duration('1s') && duration(self) <= duration('1h')",
          }),
        )
        .optional(),
    })
    .optional(),
  minRetryRate: z
    .strictObject({
      count: z.int().min(1).max(1_000_000).describe('Absent: 10.').optional(),
      interval: duration
        .describe('Absent: 1s.')
        .meta(
          admission({
            message: 'must be more than 0 and at most 1h',
            cel: "duration(self) > duration('0s') && duration(self) <= duration('1h')",
          }),
        )
        .optional(),
    })
    .describe('Repetitions that are allowed however few requests there are.')
    .optional(),
});

/** What each field is attached to. */
const retryTargets = { retry: 'GRPCRoute', hedging: 'HTTPRoute', retryConstraint: 'Service' } as const;

export const retryPolicy = z.strictObject({
  apiVersion,
  kind: z.literal('RetryPolicy'),
  metadata: objectMeta,
  spec: withRule(
    z.strictObject({
      targetRefs: targetRefs(target),
      retry: retry.describe('When calls of gRPC are repeated; an HTTPRoute says it in its rules.').optional(),
      hedging: hedging
        .describe('A second try of idempotent requests beside a first that is slow; the first answer counts.')
        .optional(),
      retryConstraint: retryConstraint
        .describe('How many of the requests to a Service may be repetitions, for each proxy that calls it.')
        .optional(),
    }),
    {
      message:
        'must have exactly one of retry, for GRPCRoutes, hedging, for HTTPRoutes, and retryConstraint, for Services',
      cel: "[has(self.retry), has(self.hedging), has(self.retryConstraint)].exists_one(given, given) && self.targetRefs.all(t, t.kind == (has(self.retry) ? 'GRPCRoute' : has(self.hedging) ? 'HTTPRoute' : 'Service'))",
      holds: ({ targetRefs: refs, ...given }) => {
        const [field, ...more] = Object.keys(given) as (keyof typeof retryTargets)[];
        return more.length === 0 && field !== undefined && refs.every(({ kind }) => kind === retryTargets[field]);
      },
    },
  ).describe('Which failed tries are repeated, when a second one is made ahead, and how many of them there may be.'),
  status: status.optional(),
});

export type RetryPolicyObject = z.infer<typeof retryPolicy>;
