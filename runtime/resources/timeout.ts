import * as z from 'zod';
import { parseDuration } from '../model/index.ts';
import { objectMeta } from './metadata.ts';
import { apiVersion, portOrRouteRef, status, targetRefs } from './policy.ts';
import { duration } from './routes.ts';
import { withRule } from './rule.ts';

const target = portOrRouteRef('all ports; all rules');

const spec = withRule(
  z.strictObject({
    targetRefs: targetRefs(target),
    request: duration
      .describe('From the first byte of a request to the last of its response, over all tries. 0s: no limit.')
      .optional(),
    backendRequest: duration.describe('One try. 0s: no limit.').optional(),
    streamIdle: duration
      .describe('Without a byte in either direction, of a tunnel after an upgrade too. 0s: what the Mesh says.')
      .optional(),
    maxStreamDuration: duration
      .describe('As request, but the tunnel after an upgrade is limited as well. 0s: no limit.')
      .optional(),
  }),
  {
    message: 'must have request, backendRequest, streamIdle or maxStreamDuration',
    cel: 'has(self.request) || has(self.backendRequest) || has(self.streamIdle) || has(self.maxStreamDuration)',
    holds: ({ request, backendRequest, streamIdle, maxStreamDuration }) =>
      (request ?? backendRequest ?? streamIdle ?? maxStreamDuration) !== undefined,
  },
  {
    message: 'backendRequest must not be longer than request',
    cel: "!has(self.request) || !has(self.backendRequest) || duration(self.request) == duration('0s') || duration(self.backendRequest) <= duration(self.request)",
    holds: ({ request = '0s', backendRequest = '0s' }) =>
      parseDuration(request) === 0 || parseDuration(backendRequest) <= parseDuration(request),
  },
);

export const timeoutPolicy = z.strictObject({
  apiVersion,
  kind: z.literal('TimeoutPolicy'),
  metadata: objectMeta,
  spec: spec.describe(
    'How long requests to a Service, or by a route, may take. Of each limit that holds which stands nearest: the timeouts of an HTTPRoute, the policy of its rule, of the route, of the Service it leads to, of the Service that was asked for.',
  ),
  status: status.optional(),
});

export type TimeoutPolicyObject = z.infer<typeof timeoutPolicy>;
