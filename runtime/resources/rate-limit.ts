import * as z from 'zod';
import { objectMeta, objectName } from './metadata.ts';
import { apiVersion, operation, servicePortRef, status, targetRefs } from './policy.ts';
import { duration, headerName } from './routes.ts';
import { admission, exactlyOne } from './rule.ts';

const key = exactlyOne(
  z.strictObject({
    caller: z.literal(true).describe('By identity; callers without one are counted together.').optional(),
    header: headerName.describe('By the value of this header; requests without it are counted together.').optional(),
  }),
);

const limit = z.strictObject({
  name: objectName.describe('Named in decisions, logs and the RateLimit header fields.').optional(),
  requests: z.int().min(1).max(1_000_000_000).describe('How many in an interval; on a TCP port, new connections.'),
  interval: duration
    .describe('Given back evenly over it: 60 in 1m is one a second.')
    .meta(admission({ message: 'must not be 0', cel: "duration(self) > duration('0s')" })),
  burst: z.int().min(1).max(1_000_000_000).describe('How many at one moment. Absent: as many as requests.').optional(),
  key: key.describe('What is counted apart. Absent: everything together.').optional(),
  to: z.array(operation).min(1).max(64).describe('Alternatives. Absent: every operation.').optional(),
});

export const rateLimitPolicy = z.strictObject({
  apiVersion,
  kind: z.literal('RateLimitPolicy'),
  metadata: objectMeta,
  spec: z
    .strictObject({
      targetRefs: targetRefs(servicePortRef),
      limits: z.array(limit).min(1).max(32),
      headers: z
        .enum(['OnRefusal', 'Always'])
        .describe('Which answers tell of its limits in RateLimit header fields. OnRefusal where absent.')
        .optional(),
    })
    .describe('How much each pod of a Service takes. Beyond any of the limits the answer is 429.'),
  status: status.optional(),
});

export type RateLimitPolicyObject = z.infer<typeof rateLimitPolicy>;
