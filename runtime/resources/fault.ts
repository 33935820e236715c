import * as z from 'zod';
import { type GrpcStatus, grpcStatusCodes } from '../model/index.ts';
import { objectMeta, objectName } from './metadata.ts';
import { apiVersion, servicePortRef, status, targetRefs } from './policy.ts';
import { duration, headerMatch } from './routes.ts';

const abort = z
  .strictObject({
    httpStatus: z.int().min(400).max(599).optional(),
    grpcStatus: z
      .enum(Object.keys(grpcStatusCodes) as [GrpcStatus, ...GrpcStatus[]])
      .describe('For ports that speak grpc.')
      .optional(),
  })
  .refine((abort) => Object.keys(abort).length === 1, 'must have exactly one of httpStatus, grpcStatus')
  .meta({ minProperties: 1, maxProperties: 1 });

const fault = z
  .strictObject({
    name: objectName.describe('Named in decisions, logs and metrics.').optional(),
    percent: z.number().min(0).max(100).describe('Share of the tries that meet it. Absent: all.').optional(),
    headers: z.array(headerMatch).max(16).describe('All must hold. Absent: every request.').optional(),
    delay: duration.describe('Before the request goes on, or is answered.').optional(),
    abort: abort.describe('The answer that the service seems to give.').optional(),
  })
  .refine(({ delay, abort }) => delay !== undefined || abort !== undefined, 'must have a delay, an abort, or both')
  .meta({
    'x-kubernetes-validations': [
      { rule: 'has(self.delay) || has(self.abort)', message: 'must have a delay, an abort, or both' },
    ],
  });

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
