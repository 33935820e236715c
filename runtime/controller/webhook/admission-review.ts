import * as z from 'zod';

/** What the API server asks (admission.k8s.io/v1). */
export const admissionReview = z.object({
  apiVersion: z.literal('admission.k8s.io/v1'),
  kind: z.literal('AdmissionReview'),
  request: z.object({
    uid: z.string().min(1).max(128),
    kind: z.object({ group: z.string(), kind: z.string() }),
    operation: z.string(),
    namespace: z.string().min(1).max(253),
    dryRun: z.boolean().optional(),
    object: z.record(z.string(), z.unknown()).nullish(),
  }),
});

export type AdmissionRequest = z.infer<typeof admissionReview>['request'];

export interface PatchOperation {
  readonly op: 'add';
  readonly path: string;
  readonly value: unknown;
}

/** What becomes of the object. */
export interface Verdict {
  readonly allowed: boolean;
  /** Why it is not allowed. */
  readonly message?: string;
  /** For who asked; `kubectl` shows them. */
  readonly warnings?: readonly string[];
  readonly patch?: readonly PatchOperation[];
}

/** The API server cuts longer warnings. */
const maxWarning = 256;

export function answerReview({ uid }: AdmissionRequest, { allowed, message, warnings, patch }: Verdict): unknown {
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid,
      allowed,
      ...(message !== undefined && { status: { code: 422, reason: 'Invalid', message } }),
      ...(warnings?.length && { warnings: warnings.map((warning) => warning.slice(0, maxWarning)) }),
      ...(patch?.length && { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }),
    },
  };
}
