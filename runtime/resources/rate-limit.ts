import * as z from 'zod';
import { objectMeta, objectName } from './metadata.ts';
import { apiVersion, operation, servicePortRef, status, targetRefs } from './policy.ts';
import { duration, headerName } from './routes.ts';

const key = z
  .strictObject({
    caller: z.literal(true).describe('By identity; callers without one are counted together.').optional(),
    header: headerName.describe('By the value of this header; requests without it are counted together.').optional(),
  })
  .refine((key) => Object.keys(key).length === 1, 'must have exactly one of caller, header')
  .meta({ minProperties: 1, maxProperties: 1 });

const limit = z.strictObject({
  name: objectName.describe('Named in decisions, logs and the RateLimit header fields.').optional(),
  requests: z.int().min(1).max(1_000_000_000).describe('How many in an interval; on a TCP port, new connections.'),
  interval: duration.describe('Given back evenly over it: 60 in 1m is one a second.'),
  burst: z.int().min(1).max(1_000_000_000).describe('How many at one moment. Absent: as many as requests.').optional(),
  key: key.describe('What is counted apart. Absent: everything together.').optional(),
  to: z.array(operation).max(64).describe('Alternatives. Absent: every operation.').optional(),
});

export const rateLimitPolicy = z.strictObject({
  apiVersion,
  kind: z.literal('RateLimitPolicy'),
  metadata: objectMeta,
  spec: z
    .strictObject({
      targetRefs: targetRefs(servicePortRef),
      limits: z.array(limit).min(1).max(32),
    })
    .describe('How much each pod of a Service takes. Beyond any of the limits the answer is 429.'),
  status: status.optional(),
});

export type RateLimitPolicyObject = z.infer<typeof rateLimitPolicy>;
