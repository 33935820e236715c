import * as z from 'zod';
import { conditions, objectName } from './metadata.ts';
import { apiVersions } from './names.ts';

/*
 * What our custom resources have in common. Unlike standard objects they are strict: an unknown field is a mistake.
 */

const text = z.string();
export const apiVersion = z.literal(apiVersions.meshwright);
export const status = z.strictObject({ conditions: conditions.optional() }).describe('What the controller says of it.');

export const serviceRef = z.strictObject({
  group: z.literal('').describe('The core group: empty.'),
  kind: z.literal('Service'),
  name: objectName.describe('A Service of the same namespace.'),
});

export const servicePortRef = serviceRef.extend({
  sectionName: text.min(1).max(63).describe('Name of one port of the Service. Absent: all ports.').optional(),
});

/** What a policy is attached to (GEP-713). */
export function targetRefs<T extends z.ZodType>(reference: T) {
  return z.array(reference).min(1).max(16).describe('What it is attached to (GEP-713).');
}

/** What is called: a method and a path. */
export const operation = z.strictObject({
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
