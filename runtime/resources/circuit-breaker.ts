import * as z from 'zod';
import { objectMeta } from './metadata.ts';
import { apiVersion, portOrRouteRef, status, targetRefs } from './policy.ts';
import { withRule } from './rule.ts';

const target = portOrRouteRef('each port; all rules together');

const most = z.int().min(1).max(1_000_000_000);

const spec = withRule(
  z.strictObject({
    targetRefs: targetRefs(target),
    maxConnections: most
      .describe(
        'Connections to all endpoints of a port together, those being made included; each endpoint may have one in any case. On a TCP port, streams beyond are closed; else requests wait. For Services.',
      )
      .optional(),
    maxPendingRequests: most.describe('Requests that wait for a connection, or for a stream on one.').optional(),
    maxRequests: most.describe('Requests under way, to the end of their response.').optional(),
  }),
  {
    message: 'must have maxConnections, maxPendingRequests or maxRequests',
    cel: 'has(self.maxConnections) || has(self.maxPendingRequests) || has(self.maxRequests)',
    holds: ({ maxConnections, maxPendingRequests, maxRequests }) =>
      (maxConnections ?? maxPendingRequests ?? maxRequests) !== undefined,
  },
  {
    message: 'a route has no connections of its own: maxConnections is for Services',
    cel: "!has(self.maxConnections) || self.targetRefs.all(target, target.kind == 'Service')",
    holds: ({ maxConnections, targetRefs }) =>
      maxConnections === undefined || targetRefs.every(({ kind }) => kind === 'Service'),
  },
);

export const circuitBreakerPolicy = z.strictObject({
  apiVersion,
  kind: z.literal('CircuitBreakerPolicy'),
  metadata: objectMeta,
  spec: spec.describe(
    'How much each proxy may have under way to a Service, or by a route, at once. Beyond any of the limits the answer is 503 at once. What is absent is not limited.',
  ),
  status: status.optional(),
});

export type CircuitBreakerPolicyObject = z.infer<typeof circuitBreakerPolicy>;
