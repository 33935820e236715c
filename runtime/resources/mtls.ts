import * as z from 'zod';
import { objectMeta, objectName } from './metadata.ts';
import { apiVersion, status, targetRefs } from './policy.ts';
import { withRule } from './rule.ts';

const target = withRule(
  z.strictObject({
    group: z.literal('').describe('The core group: empty.'),
    kind: z.enum(['Namespace', 'Service']),
    name: objectName.describe('A Service of the same namespace, or that namespace itself.'),
    sectionName: z
      .string()
      .min(1)
      .max(63)
      .describe('Name of one port of the Service. Absent: all that it leads to.')
      .optional(),
  }),
  {
    message: 'a Namespace has no ports: sectionName is for a Service',
    cel: "self.kind == 'Service' || !has(self.sectionName)",
    holds: ({ kind, sectionName }) => kind === 'Service' || sectionName === undefined,
  },
);

export const mtlsPolicy = z.strictObject({
  apiVersion,
  kind: z.literal('MtlsPolicy'),
  metadata: objectMeta,
  spec: z
    .strictObject({
      targetRefs: targetRefs(target),
      mode: z
        .enum(['Strict', 'Permissive'])
        .describe('Strict refuses plain text. Permissive serves it too, to callers without identity.'),
    })
    .describe(
      'Whether plain text from outside the mesh is accepted. What holds for a port wins over what holds for its Service, that over its namespace, that over the Mesh.',
    ),
  status: status.optional(),
});

export type MtlsPolicyObject = z.infer<typeof mtlsPolicy>;
