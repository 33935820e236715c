import * as z from 'zod';
import { objectMeta, objectName } from './metadata.ts';
import { groups } from './names.ts';
import { apiVersion, status, targetRefs } from './policy.ts';
import { withRule } from './rule.ts';

const target = withRule(
  z.strictObject({
    group: z.enum(['', groups.gateway]).describe('The core group, which is empty, for a Service; else that of routes.'),
    kind: z.enum(['Service', 'HTTPRoute', 'GRPCRoute']),
    name: objectName.describe('A Service or route of the same namespace.'),
    sectionName: z
      .string()
      .min(1)
      .max(253)
      .describe('Name of one port of the Service, or of one rule of the route. Absent: each port; all rules together.')
      .optional(),
  }),
  {
    message: `group must be empty for a Service, and ${groups.gateway} for a route`,
    cel: "(self.kind == 'Service') == (self.group == '')",
    holds: ({ group, kind }) => (kind === 'Service') === (group === ''),
  },
);

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
