import * as z from 'zod';

const text = z.string();
const strings = z.record(text, text);

/** Name of an object or namespace (RFC 1123, dots allowed as in most kinds). */
export const objectName = text.regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, 'must be a lower-case DNS name');

export const portNumber = z.int().min(1).max(65535);

const ownerReference = z.object({ kind: text, name: text, controller: z.boolean().optional() });

/** `null` is what serialised Kubernetes objects hold for "not yet created". */
const timestamp = text.nullable();

export const objectMeta = z.object({
  name: objectName,
  namespace: objectName.optional(),
  labels: strings.optional(),
  annotations: strings.optional(),
  generation: z.int().optional(),
  creationTimestamp: timestamp.optional(),
  deletionTimestamp: timestamp.optional(),
  generateName: text.optional(),
  ownerReferences: z.array(ownerReference).optional(),
});

/** Metadata of a pod template: never named. */
export const templateMeta = z.object({ labels: strings.optional(), annotations: strings.optional() });

const condition = z
  .object({
    type: text.min(1).max(316),
    status: z.enum(['True', 'False', 'Unknown']),
    reason: text.min(1).max(1024),
    message: text.max(32768),
    observedGeneration: z.int().min(0).optional(),
    lastTransitionTime: text.meta({ format: 'date-time' }).optional(),
  })
  .describe('One aspect of the state of the object.');

export const conditions = z
  .array(condition)
  .max(8)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] });

export type Condition = z.infer<typeof condition>;
