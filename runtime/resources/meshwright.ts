import * as z from 'zod';
import { limits } from './limits.ts';
import { objectMeta, objectName } from './metadata.ts';
import { apiVersion, operation, servicePortRef, status, targetRefs } from './policy.ts';
import { admission, exactlyOne } from './rule.ts';
import { strangers } from './strangers.ts';

const text = z.string();

export const mesh = z.strictObject({
  apiVersion,
  kind: z.literal('Mesh'),
  metadata: objectMeta,
  spec: z
    .strictObject({
      trustDomain: text
        .max(255)
        .regex(/^[a-z0-9]([-a-z0-9._]*[a-z0-9])?$/, 'must be lower-case letters, digits, dots, dashes, underscores')
        .describe('First part of every SPIFFE id: that of the control plane, which holds where this is absent.')
        .meta(
          admission({
            message: 'cannot be changed, as every certificate holds it; to change it, remove the Mesh and make another',
            cel: 'self == oldSelf',
          }),
        )
        .optional(),
      mtls: z
        .enum(['Strict', 'Permissive'])
        .describe('Whether plain text from outside the mesh is refused in this namespace. Strict where absent.')
        .optional(),
      limits: limits.describe('Bounds of the proxies of this namespace.').optional(),
      strangers: strangers.optional(),
    })
    .describe('What holds for the workloads of a namespace.'),
  status: status.optional(),
});

const principal = exactlyOne(
  z.strictObject({
    serviceAccount: z
      .strictObject({
        namespace: objectName.describe("The policy's namespace where absent.").optional(),
        name: objectName,
      })
      .describe('One identity.')
      .optional(),
    namespace: objectName.describe('Any service account of this namespace.').optional(),
    authenticated: z.literal(true).describe('Any identity of this mesh.').optional(),
  }),
);

export const accessPolicy = z.strictObject({
  apiVersion,
  kind: z.literal('AccessPolicy'),
  metadata: objectMeta,
  spec: z
    .strictObject({
      targetRefs: targetRefs(servicePortRef),
      rules: z
        .array(
          z.strictObject({
            name: text.min(1).max(253).describe('Named in decisions, logs and `explain`.').optional(),
            action: z.enum(['Allow', 'Deny']),
            from: z.array(principal).min(1).max(64).describe('Alternatives. Absent: everyone.').optional(),
            to: z.array(operation).min(1).max(64).describe('Alternatives. Absent: every operation.').optional(),
          }),
        )
        .max(256),
    })
    .describe('Who may call. A matching Deny wins; where any Allow exists, a request needs a matching one.'),
  status: status.optional(),
});

export type MeshObject = z.infer<typeof mesh>;
export type AccessPolicyObject = z.infer<typeof accessPolicy>;
export type AccessPolicyRule = AccessPolicyObject['spec']['rules'][number];
