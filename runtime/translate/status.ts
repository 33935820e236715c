import type { ObjectReference } from '../model/index.ts';
import { type Condition, type KubernetesObject, namespaceOf, type ParentRef } from '../resources/index.ts';

/** What a route's status says of one parent. */
export interface RouteParentStatus {
  readonly parentRef: ParentRef;
  readonly conditions: readonly Condition[];
}

export interface ListenerStatus {
  readonly name: string;
  readonly attachedRoutes: number;
  readonly conditions: readonly Condition[];
}

/** The status to write to an object. Routes have `parents`, gateways `listeners`, all else only conditions. */
export interface ObjectStatus {
  readonly object: ObjectReference;
  readonly conditions?: readonly Condition[];
  readonly parents?: readonly RouteParentStatus[];
  readonly listeners?: readonly ListenerStatus[];
}

export interface Verdict {
  readonly holds: boolean;
  /** A reason word of the Gateway API. */
  readonly reason: string;
  readonly message?: string;
}

/** The condition `type` of an object, for the generation that was read. */
export function condition(object: KubernetesObject, type: string, verdict: Verdict): Condition {
  const { generation } = object.metadata;
  return {
    type,
    status: verdict.holds ? 'True' : 'False',
    reason: verdict.reason,
    message: verdict.message ?? '',
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  };
}

export const accepted: Verdict = { holds: true, reason: 'Accepted' };

/** What `ResolvedRefs` says, given the first of an object's references that leads nowhere. */
export function resolvedRefs(problem: Omit<Verdict, 'holds'> | undefined): Verdict {
  return problem ? { ...problem, holds: false } : { holds: true, reason: 'ResolvedRefs' };
}

/** The status of an object of a kind of our own. */
export function ownStatus(
  object: KubernetesObject,
  verdict: Verdict,
  unresolved?: Omit<Verdict, 'holds'>,
): ObjectStatus {
  const conditions = [
    condition(object, 'Accepted', verdict),
    condition(object, 'ResolvedRefs', resolvedRefs(unresolved)),
  ];
  return { object: referenceTo(object), conditions };
}

export function referenceTo(object: KubernetesObject): ObjectReference {
  return { kind: object.kind, namespace: namespaceOf(object), name: object.metadata.name };
}
