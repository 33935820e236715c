import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import { type InjectionRequest, injectPod, type RawPod } from '../../injection/index.ts';
import type { Finding } from '../../model/index.ts';
import type { AdmissionRequest, PatchOperation, Verdict } from './admission-review.ts';
import type { Notice, ObjectReference } from './events.ts';

/** What is decided about a pod, and what its owner should be told. */
export interface Review {
  readonly verdict: Verdict;
  /** For the log: what was done, or why nothing was. */
  readonly outcome: string;
  readonly notice?: Notice;
}

const owned = z.object({
  metadata: z.object({
    name: z.string().optional(),
    ownerReferences: z
      .array(
        z.object({
          apiVersion: z.string(),
          kind: z.string(),
          name: z.string(),
          uid: z.string(),
          controller: z.boolean().optional(),
        }),
      )
      .optional(),
  }),
});

/**
 * Decides about a pod that the API server is about to create. One that was to get a proxy and cannot is refused: without
 * its proxy it would be reached, and would call others, past every policy.
 */
export function reviewPod(request: AdmissionRequest, injection: Omit<InjectionRequest, 'namespace'>): Review {
  const { object: pod, namespace, kind, operation } = request;
  if (!pod || kind.group !== '' || kind.kind !== 'Pod' || operation !== 'CREATE') {
    return { verdict: { allowed: true }, outcome: `${operation} of a ${kind.kind} is not our concern` };
  }
  const result = injectPod(pod, { ...injection, namespace });
  if (result.kind === 'injected') {
    return { verdict: { allowed: true, patch: patchOf(pod, result.pod) }, outcome: 'injected' };
  }
  const { reason: outcome, findings } = result;
  if (findings.length === 0) return { verdict: { allowed: true }, outcome };
  const refused = findings.some(({ severity }) => severity === 'error');
  const message = `${refused ? 'the pod cannot have its proxy' : 'the pod gets no proxy'}: ${findings.map(describe).join('; ')}`;
  // Kubernetes wants warnings to be short; the event has the rest.
  const warnings = findings.map(({ id, message }) => `${id} the pod gets no proxy: ${message}`);
  return {
    verdict: refused ? { allowed: false, message } : { allowed: true, warnings },
    outcome,
    notice: {
      namespace,
      regarding: ownerOf(pod, namespace),
      reason: refused ? 'InjectionRefused' : 'InjectionSkipped',
      note: message,
    },
  };
}

function describe({ id, message, hint }: Finding): string {
  return `${id} ${message} (${hint})`;
}

/** Only what differs: numbers that JavaScript cannot hold, and fields it does not know, are not even touched. */
function patchOf(before: RawPod, after: RawPod): PatchOperation[] {
  const changes = (path: string, from: unknown, to: unknown): PatchOperation[] =>
    Object.entries(to ?? {})
      .filter(([field, value]) => !isDeepStrictEqual((from as Record<string, unknown> | undefined)?.[field], value))
      .map(([field, value]) => ({ op: 'add', path: `${path}/${field}`, value }));
  return [...changes('/metadata', before.metadata, after.metadata), ...changes('/spec', before.spec, after.spec)];
}

/** Whom events are about: who made the pod, as the pod will not be there, or has no name yet. */
function ownerOf(pod: RawPod, namespace: string): ObjectReference {
  const { name, ownerReferences = [] } = owned.safeParse(pod).data?.metadata ?? {};
  const owner = ownerReferences.find(({ controller }) => controller) ?? ownerReferences[0];
  if (owner) return { apiVersion: owner.apiVersion, kind: owner.kind, namespace, name: owner.name, uid: owner.uid };
  if (name) return { apiVersion: 'v1', kind: 'Pod', namespace, name };
  return { apiVersion: 'v1', kind: 'Namespace', namespace, name: namespace };
}
