import type { ObjectReference, Resource } from '../../../model/index.ts';
import { type Condition, customResourceDefinitions } from '../../../resources/index.ts';
import type { ObjectStatus } from '../../../translate/index.ts';

/** Why proxies do not do what an object says, by object: see {@link referenceKey}. */
export type Refusals = ReadonlyMap<string, string>;

const ours: ReadonlySet<string> = new Set(
  customResourceDefinitions().map(({ spec }) => (spec.names as { kind: string }).kind),
);

export function referenceKey({ kind, namespace, name }: ObjectReference): string {
  return `${kind} ${namespace}/${name}`;
}

/** Adds to a status whether proxies do what the object says. Routes have that condition only where they do not. */
export function withProgrammed(status: ObjectStatus, refusals: Refusals): ObjectStatus {
  const refusal = refusals.get(referenceKey(status.object));
  if (ours.has(status.object.kind)) {
    const conditions = status.conditions ?? [];
    return {
      ...status,
      conditions: [...conditions, ...conditions.filter(isAccepted).map((it) => programmed(it, refusal))],
    };
  }
  if (refusal === undefined) return status;
  if (status.parents) {
    const parents = status.parents.map((parent) => ({
      ...parent,
      conditions: [...parent.conditions, ...parent.conditions.filter(isAccepted).map((it) => programmed(it, refusal))],
    }));
    return { ...status, parents };
  }
  const conditions = status.conditions?.map((each) => (each.type === 'Programmed' ? refused(each, refusal) : each));
  return { ...status, conditions };
}

function isAccepted({ type }: Condition): boolean {
  return type === 'Accepted';
}

/** Follows from whether the object is accepted at all. */
function programmed(accepted: Condition, refusal: string | undefined): Condition {
  const base = { ...accepted, type: 'Programmed' };
  if (accepted.status !== 'True') return { ...base, status: 'False', reason: 'Invalid', message: 'it is not accepted' };
  return refusal === undefined ? { ...base, reason: 'Programmed', message: '' } : refused(base, refusal);
}

function refused(condition: Condition, refusal: string): Condition {
  return { ...condition, status: 'False', reason: 'Invalid', message: refusal };
}

/** The objects that a resource was made of, as far as it tells. */
export function sourcesOf(resource: Resource): ObjectReference[] {
  const found = new Map<string, ObjectReference>();
  const look = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if (isReference(value)) found.set(referenceKey(value), value);
    for (const part of Object.values(value)) look(part);
  };
  for (const part of Object.values(resource)) look(part);
  return [...found.values()];
}

function isReference(value: object): value is ObjectReference {
  const { kind, namespace, name } = value as Partial<Record<keyof ObjectReference, unknown>>;
  return typeof kind === 'string' && /^[A-Z]/.test(kind) && typeof namespace === 'string' && typeof name === 'string';
}
