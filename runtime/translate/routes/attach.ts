import { groups, type ParentRef } from '../../resources/index.ts';
import { byAge } from '../inventory.ts';
import { condition, type ObjectStatus, type RouteParentStatus, referenceTo, type Verdict } from '../status.ts';
import type { RouteObject } from './backends.ts';
import { type CompiledRoute, compilation, type RouteContext } from './compilation.ts';
import { createConflictCheck } from './conflicts.ts';
import { attachToGateway } from './gateway-parents.ts';
import { attachToService, rankRoutes } from './service-parents.ts';

/** Attaches every route to its parents, oldest first, and says in its status how it went. */
export function attachRoutes(context: RouteContext, statuses: ObjectStatus[]): void {
  const { inventory, services } = context;
  const conflicts = createConflictCheck(context.report);
  const routes: RouteObject[] = [
    ...inventory.all('HTTPRoute'),
    ...inventory.all('GRPCRoute'),
    ...inventory.all('TCPRoute'),
    ...inventory.all('TLSRoute'),
  ];
  const ranking = rankRoutes(routes, services);
  for (const object of routes.sort(byAge)) {
    const parents: RouteParentStatus[] = [];
    const compiled = compilation(object, context);
    for (const [index, parentRef] of (object.spec.parentRefs ?? []).entries()) {
      const path = `spec.parentRefs[${index}]`;
      const kind = parentKind(parentRef);
      if (!kind) continue;
      const route = compiled(kind);
      const attachment =
        kind === 'Service'
          ? attachToService(route, parentRef, path, context, ranking, conflicts)
          : attachToGateway(route, parentRef, path, context, conflicts);
      if (attachment) parents.push({ parentRef, conditions: conditionsOf(route, attachment) });
    }
    if (parents.length) statuses.push({ object: referenceTo(object), parents });
  }
}

function parentKind({ group = groups.gateway, kind = 'Gateway' }: ParentRef): 'Service' | 'Gateway' | undefined {
  if (group === groups.core && kind === 'Service') return 'Service';
  return group === groups.gateway && kind === 'Gateway' ? 'Gateway' : undefined;
}

function conditionsOf({ object, resolvedRefs, invalid }: CompiledRoute, attachment: Verdict) {
  const acceptance: Verdict =
    attachment.holds && invalid?.all ? { holds: false, reason: invalid.reason, message: invalid.message } : attachment;
  return [
    condition(object, 'Accepted', acceptance),
    condition(object, 'ResolvedRefs', resolvedRefs),
    ...(invalid && !invalid.all
      ? [condition(object, 'PartiallyInvalid', { holds: true, reason: 'UnsupportedValue', message: invalid.message })]
      : []),
  ];
}
