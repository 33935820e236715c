import * as z from 'zod';
import { conditions, objectMeta, objectName } from './metadata.ts';
import { apiVersions } from './names.ts';

/*
 * Our own custom resources. Unlike standard objects they are strict: an unknown field is a mistake.
 */

const text = z.string();
const apiVersion = z.literal(apiVersions.meshwright);
const status = z.strictObject({ conditions: conditions.optional() }).describe('What the controller says of it.');

const serviceRef = z.strictObject({
  group: z.literal('').describe('The core group: empty.'),
  kind: z.literal('Service'),
  name: objectName.describe('A Service of the same namespace.'),
});

const servicePortRef = serviceRef.extend({
  sectionName: text.min(1).max(63).describe('Name of one port of the Service. Absent: all ports.').optional(),
});

/** What a policy is attached to (GEP-713). */
function targetRefs<T extends z.ZodType>(reference: T) {
  return z.array(reference).min(1).max(16).describe('What it is attached to (GEP-713).');
}

export const mesh = z.strictObject({
  apiVersion,
  kind: z.literal('Mesh'),
  metadata: objectMeta,
  spec: z
    .strictObject({
      trustDomain: text
        .max(255)
        .regex(/^[a-z0-9]([-a-z0-9._]*[a-z0-9])?$/, 'must be lower-case letters, digits, dots, dashes, underscores')
        .describe('First part of every SPIFFE id of the mesh.'),
      mtls: z
        .enum(['Strict', 'Permissive'])
        .describe('Whether plain text from outside the mesh is refused. Strict where absent.')
        .optional(),
    })
    .describe('What holds for the whole mesh.'),
  status: status.optional(),
});

const principal = z
  .strictObject({
    serviceAccount: z
      .strictObject({
        namespace: objectName.describe("The policy's namespace where absent.").optional(),
        name: objectName,
      })
      .optional(),
    namespace: objectName.describe('Any service account of this namespace.').optional(),
    authenticated: z.literal(true).describe('Any identity of this mesh.').optional(),
  })
  .refine((from) => Object.keys(from).length === 1, 'must have exactly one of serviceAccount, namespace, authenticated')
  .meta({ minProperties: 1, maxProperties: 1 });

const operation = z.strictObject({
  methods: z
    .array(text.regex(/^[A-Z]+$/, 'must be an upper-case HTTP method'))
    .min(1)
    .max(16)
    .optional(),
  paths: z
    .array(
      z
        .strictObject({
          type: z.enum(['Exact', 'PathPrefix', 'RegularExpression']),
          value: text.min(1).max(1024),
        })
        .refine((path) => path.type === 'RegularExpression' || path.value.startsWith('/'), 'value must begin with /')
        .meta({
          'x-kubernetes-validations': [
            {
              rule: "self.type == 'RegularExpression' || self.value.startsWith('/')",
              message: 'value must begin with /',
            },
          ],
        }),
    )
    .min(1)
    .max(64)
    .optional(),
});

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
            from: z.array(principal).max(64).describe('Alternatives. Absent: everyone.').optional(),
            to: z.array(operation).max(64).describe('Alternatives. Absent: every operation.').optional(),
          }),
        )
        .max(256),
    })
    .describe('Who may call. A matching Deny wins; where any Allow exists, a request needs a matching one.'),
  status: status.optional(),
});

export const loadBalancingPolicy = z.strictObject({
  apiVersion,
  kind: z.literal('LoadBalancingPolicy'),
  metadata: objectMeta,
  spec: z
    .strictObject({
      targetRefs: targetRefs(serviceRef),
      algorithm: z
        .enum(['LeastRequest', 'RoundRobin'])
        .describe('LeastRequest compares two random endpoints by load and latency; RoundRobin takes each in turn.'),
    })
    .describe('How callers of a Service choose one of its endpoints.'),
  status: status.optional(),
});

export type MeshObject = z.infer<typeof mesh>;
export type AccessPolicyObject = z.infer<typeof accessPolicy>;
export type LoadBalancingPolicyObject = z.infer<typeof loadBalancingPolicy>;
export type AccessPolicyRule = AccessPolicyObject['spec']['rules'][number];
