import * as z from 'zod';
import { objectMeta, objectName } from './metadata.ts';
import { apiVersion, grpcStatus, servicePortRef, status, targetRefs } from './policy.ts';
import { duration, headerMatch } from './routes.ts';
import { exactlyOne, withRule } from './rule.ts';

const abort = exactlyOne(
  z.strictObject({
    httpStatus: z.int().min(400).max(599).optional(),
    grpcStatus: grpcStatus.describe('For ports that speak grpc.').optional(),
  }),
);

const rate = z.int().min(1).max(1_000_000_000);
const bandwidth = withRule(
  z.strictObject({
    request: rate.describe('Of the body of the request. Absent: as fast as it comes.').optional(),
    response: rate.describe('Of the body of the response. Absent: as fast as it comes.').optional(),
  }),
  {
    message: 'must have request, response, or both',
    cel: 'has(self.request) || has(self.response)',
    holds: ({ request, response }) => request !== undefined || response !== undefined,
  },
);

const fault = withRule(
  z.strictObject({
    name: objectName.describe('Named in decisions, logs and metrics.').optional(),
    percent: z.number().min(0).max(100).describe('Share of the tries that meet it. Absent: all.').optional(),
    headers: z.array(headerMatch).max(16).describe('All must hold. Absent: every request.').optional(),
    delay: duration.describe('Before the request goes on, or is answered.').optional(),
    abort: abort.describe('The answer that the service seems to give.').optional(),
    bandwidth: bandwidth.describe('How fast bodies pass, in bytes a second.').optional(),
  }),
  {
    message: 'must have a delay, an abort or a bandwidth, and not both of the latter',
    cel: '(has(self.delay) || has(self.abort) || has(self.bandwidth)) && !(has(self.abort) && has(self.bandwidth))',
    holds: ({ delay, abort, bandwidth }) =>
      [delay, abort, bandwidth].some((each) => each !== undefined) && (abort === undefined || bandwidth === undefined),
  },
);

export const faultPolicy = z.strictObject({
  apiVersion,
  kind: z.literal('FaultPolicy'),
  metadata: objectMeta,
  spec: z
    .strictObject({
      targetRefs: targetRefs(servicePortRef),
      faults: z.array(fault).min(1).max(32).describe('A try meets one of them at most.'),
    })
    .describe('What goes wrong on purpose where a Service is called; for tests.'),
  status: status.optional(),
});

export type FaultPolicyObject = z.infer<typeof faultPolicy>;
