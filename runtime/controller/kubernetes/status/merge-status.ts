import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import { type Condition, gatewayControllerName } from '../../../resources/index.ts';
import type { ListenerStatus, ObjectStatus, RouteParentStatus } from '../../../translate/index.ts';

export interface GatewayAddress {
  readonly type: 'IPAddress' | 'Hostname';
  readonly value: string;
}

interface RouteKind {
  readonly group: string;
  readonly kind: string;
}

/** The status of an object, complete but for what the object itself has: times of transition, entries of others. */
export interface DesiredStatus extends Omit<ObjectStatus, 'listeners'> {
  readonly listeners?: readonly (ListenerStatus & { readonly supportedKinds: readonly RouteKind[] })[];
  readonly addresses?: readonly GatewayAddress[];
}

const condition = z.looseObject({ type: z.string(), status: z.string(), lastTransitionTime: z.string().optional() });
const conditions = z.array(condition).nullish();
const parent = z.looseObject({ controllerName: z.string(), parentRef: z.looseObject({}), conditions });
const listener = z.looseObject({ name: z.string(), conditions });
const statusSchema = z
  .looseObject({
    conditions,
    parents: z.array(parent).nullish(),
    listeners: z.array(listener).nullish(),
  })
  .nullish();

type CurrentConditions = z.infer<typeof conditions>;
type CurrentParent = z.infer<typeof parent>;

/** More than these Gateway API does not take. */
const maxParents = 32;
const maxMessage = 32_768;

/**
 * What an object's status should become.
 *
 * @param current - the status it has
 * @param now - wall-clock milliseconds: when conditions whose status differs have changed
 * @returns `undefined` where there is nothing to write
 */
export function mergeStatus(current: unknown, desired: DesiredStatus, now: number): unknown {
  const parsed = statusSchema.safeParse(current);
  // A status that makes no sense has nothing worth keeping.
  const before = (parsed.success && parsed.data) || {};
  const time = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
  const after: Record<string, unknown> = { ...before };
  if (desired.conditions) after.conditions = mergeConditions(before.conditions, desired.conditions, time);
  if (desired.parents?.length || (desired.parents && before.parents)) {
    after.parents = mergeParents(before.parents ?? [], desired.parents, time);
  }
  if (desired.listeners) {
    after.listeners = desired.listeners.map((each) => {
      const known = before.listeners?.find(({ name }) => name === each.name);
      return { ...each, conditions: mergeConditions(known?.conditions, each.conditions, time) };
    });
  }
  if (desired.addresses?.length || (desired.addresses && before.addresses)) after.addresses = desired.addresses;
  return isDeepStrictEqual(after, current ?? {}) ? undefined : after;
}

/** Whether a route's status has entries that we wrote. */
export function hasOurParents(current: unknown): boolean {
  const parsed = statusSchema.safeParse(current);
  return (parsed.data?.parents ?? []).some(({ controllerName }) => controllerName === gatewayControllerName);
}

/** The conditions that are to be, with those of others, which by convention have a domain before their type. */
function mergeConditions(current: CurrentConditions, desired: readonly Condition[], time: string): unknown[] {
  const merged = desired.map((next) => {
    const before = current?.find(({ type }) => type === next.type);
    const kept = before?.status === next.status ? before.lastTransitionTime : undefined;
    return { ...next, message: next.message.slice(0, maxMessage), lastTransitionTime: kept ?? time };
  });
  const types = new Set(desired.map(({ type }) => type));
  return [...merged, ...(current ?? []).filter(({ type }) => type.includes('/') && !types.has(type))];
}

/** In the order there is, so that two controllers never go on to reorder each other's entries. */
function mergeParents(
  current: readonly CurrentParent[],
  desired: readonly RouteParentStatus[],
  time: string,
): unknown[] {
  const missing = new Set(desired);
  const kept = current.flatMap((entry) => {
    if (entry.controllerName !== gatewayControllerName) return entry;
    const wanted = [...missing].find(({ parentRef }) => sameParent(parentRef, entry.parentRef));
    if (!wanted) return [];
    missing.delete(wanted);
    return entryOf(entry.parentRef, wanted, entry.conditions, time);
  });
  const added = [...missing].map((wanted) => entryOf(wanted.parentRef, wanted, undefined, time));
  return [...kept, ...added].slice(0, maxParents);
}

function entryOf(parentRef: unknown, { conditions }: RouteParentStatus, current: CurrentConditions, time: string) {
  return { parentRef, controllerName: gatewayControllerName, conditions: mergeConditions(current, conditions, time) };
}

/** The API server writes defaults into what is left out. */
function sameParent(a: RouteParentStatus['parentRef'], b: Readonly<Record<string, unknown>>): boolean {
  return parentFields.every((field) => (a[field] ?? parentDefaults[field]) === (b[field] ?? parentDefaults[field]));
}

const parentFields = ['group', 'kind', 'namespace', 'name', 'sectionName', 'port'] as const;
const parentDefaults: Partial<Record<(typeof parentFields)[number], string>> = {
  group: 'gateway.networking.k8s.io',
  kind: 'Gateway',
};
