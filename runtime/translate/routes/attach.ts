import { qualifiedName } from '../../model/index.ts';
import { describeObject, groups, namespaceOf, type ParentRef } from '../../resources/index.ts';
import { valueAt } from '../collections.ts';
import type { GatewayEntries, GatewayEntry, ListenerEntry } from '../gateways.ts';
import type { Grants } from '../grants.ts';
import { byAge, type Inventory } from '../inventory.ts';
import { namespaceOfRef } from '../references.ts';
import type { Report } from '../report.ts';
import { selects } from '../selector-index.ts';
import type { ServiceEntries, ServicePortEntry } from '../services.ts';
import {
  accepted,
  condition,
  type ObjectStatus,
  type RouteParentStatus,
  referenceTo,
  type Verdict,
} from '../status.ts';
import { createConflictCheck } from './conflicts.ts';
import { intersectHostnames } from './hostnames.ts';
import { type CompiledRoute, compileRoute, type RouteObject } from './rules.ts';

export interface RouteContext {
  readonly inventory: Inventory;
  readonly services: ServiceEntries;
  readonly gateways: GatewayEntries;
  readonly grants: Grants;
  readonly report: Report;
}

/** Whether a route is attached to a parent; absent where the parent belongs to another controller. */
type Attachment = Verdict | undefined;

/** Attaches every route to its parents, oldest first, and says in its status how it went. */
export function attachRoutes(context: RouteContext, statuses: ObjectStatus[]): void {
  const { inventory, report } = context;
  const conflicts = createConflictCheck(report);
  const routes: RouteObject[] = [...inventory.all('HTTPRoute'), ...inventory.all('GRPCRoute')];
  for (const object of routes.sort(byAge)) {
    const route = compileRoute(object, context, report);
    const parents: RouteParentStatus[] = [];
    for (const [index, ref] of (object.spec.parentRefs ?? []).entries()) {
      const attachment = attachToParent(route, ref, `spec.parentRefs[${index}]`, context, conflicts);
      if (attachment) parents.push({ parentRef: ref, conditions: conditionsOf(route, attachment) });
    }
    if (parents.length) statuses.push({ object: referenceTo(object), parents });
  }
}

type Conflicts = ReturnType<typeof createConflictCheck>;

function attachToParent(
  route: CompiledRoute,
  ref: ParentRef,
  path: string,
  context: RouteContext,
  conflicts: Conflicts,
): Attachment {
  const group = ref.group ?? groups.gateway;
  const kind = ref.kind ?? 'Gateway';
  if (group === groups.core && kind === 'Service') return attachToService(route, ref, path, context, conflicts);
  if (group === groups.gateway && kind === 'Gateway') return attachToGateway(route, ref, path, context, conflicts);
  return undefined;
}

function attachToService(
  { object, rules }: CompiledRoute,
  ref: ParentRef,
  path: string,
  { services, report }: RouteContext,
  conflicts: Conflicts,
): Attachment {
  const name = qualifiedName(namespaceOfRef(ref, object), ref.name);
  if (namespaceOfRef(ref, object) !== namespaceOf(object)) {
    const message = `it would change Service ${name} for its own namespace only (a consumer route), which is not supported`;
    report('MW1206', object, { path, message, hint: 'put the route into the namespace of the Service' });
    return { holds: false, reason: 'UnsupportedValue', message };
  }
  const service = services.get(name);
  const ports = service?.ports.filter(({ port }) => ref.port === undefined || port === ref.port) ?? [];
  if (!service || !ports.length) {
    const { message, hint } = service
      ? {
          message: `Service ${name} has no port ${ref.port ?? ''}`.trimEnd(),
          hint: `its ports are ${service.ports.map(({ port }) => port).join(', ')}`,
        }
      : services.absence(name);
    report('MW1201', object, { path, message, hint });
    return { holds: false, reason: 'NoMatchingParent', message };
  }
  const fitting = ports.filter((port) => speaks(object, port));
  if (!fitting.length) {
    const message = `${object.kind} cannot be attached to port ${ports[0].port} of Service ${name}, which speaks ${ports[0].protocol}`;
    const hint =
      object.kind === 'GRPCRoute' ? 'set appProtocol: grpc on the port' : 'set appProtocol: http on the port';
    report('MW1203', object, { path, message, hint });
    return { holds: false, reason: 'NoMatchingParent', message };
  }
  for (const port of fitting) {
    for (const rule of rules) conflicts.check(port, object, rule, `port ${port.port} of Service ${name}`);
    port.rules.push(...rules.map(({ rule }) => rule));
  }
  return accepted;
}

function speaks({ kind }: RouteObject, { protocol }: ServicePortEntry): boolean {
  return kind === 'GRPCRoute' ? protocol === 'grpc' || protocol === 'http2' : protocol !== 'tcp';
}

function attachToGateway(
  route: CompiledRoute,
  ref: ParentRef,
  path: string,
  context: RouteContext,
  conflicts: Conflicts,
): Attachment {
  const { gateways, inventory, report } = context;
  const { object, rules } = route;
  const namespace = namespaceOfRef(ref, object);
  const name = qualifiedName(namespace, ref.name);
  const gateway = gateways.get(name);
  if (!gateway) {
    if (inventory.find('Gateway', namespace, ref.name)) return undefined;
    const message = `Gateway ${name} is not there`;
    report('MW1201', object, { path, message, hint: 'correct the name, or add the Gateway' });
    return { holds: false, reason: 'NoMatchingParent', message };
  }
  const named = gateway.listeners.filter(
    ({ spec }) =>
      (ref.sectionName === undefined || spec.name === ref.sectionName) &&
      (ref.port === undefined || spec.port === ref.port),
  );
  const allowed = named.filter((listener) => listener.verdict.holds && allows(listener, gateway, object, inventory));
  const attachable = allowed
    .map((listener) => ({ listener, hostnames: intersectHostnames(listener.spec.hostname, object.spec.hostnames) }))
    .filter(({ hostnames }) => hostnames.length);
  if (!attachable.length) {
    const refusal: Verdict = !named.length
      ? { holds: false, reason: 'NoMatchingParent', message: `Gateway ${name} has no such listener` }
      : !allowed.length
        ? {
            holds: false,
            reason: 'NotAllowedByListeners',
            message: `no listener of Gateway ${name} allows ${describeObject(object)}`,
          }
        : {
            holds: false,
            reason: 'NoMatchingListenerHostname',
            message: `no listener of Gateway ${name} has a hostname in common with ${object.spec.hostnames?.join(', ')}`,
          };
    report('MW1403', object, {
      path,
      message: refusal.message!,
      hint: "compare the route with the gateway's listeners",
    });
    return refusal;
  }
  for (const { listener, hostnames } of attachable) {
    listener.attachedRoutes++;
    for (const hostname of hostnames) {
      const hostRules = valueAt(listener.hosts, hostname, () => []);
      const place = `listener ${listener.spec.name} of Gateway ${name}, host ${hostname}`;
      for (const rule of rules) conflicts.check(hostRules, object, rule, place);
      hostRules.push(...rules);
    }
  }
  for (const { rule } of rules) {
    if (rule.action.kind === 'forward') {
      for (const { target } of rule.action.backends) if (target) gateway.calls.add(target.service);
    }
    for (const { target } of rule.mirrors) gateway.calls.add(target.service);
  }
  return accepted;
}

/** `allowedRoutes` of a listener: the gateway's own namespace and every kind of route where it says nothing. */
function allows({ spec }: ListenerEntry, gateway: GatewayEntry, route: RouteObject, inventory: Inventory): boolean {
  const { kinds, namespaces } = spec.allowedRoutes ?? {};
  if (
    kinds?.length &&
    !kinds.some(({ group = groups.gateway, kind }) => group === groups.gateway && kind === route.kind)
  ) {
    return false;
  }
  const namespace = namespaceOf(route);
  switch (namespaces?.from ?? 'Same') {
    case 'All':
      return true;
    case 'None':
      return false;
    case 'Same':
      return namespace === namespaceOf(gateway.object);
    case 'Selector': {
      const labels = namespaces?.selector?.matchLabels;
      return labels !== undefined && selects(labels, inventory.namespaceLabels(namespace));
    }
  }
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
