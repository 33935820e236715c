import { type HttpMatch, qualifiedName } from '../../model/index.ts';
import { describeObject, groups, namespaceOf, type ParentRef } from '../../resources/index.ts';
import { valueAt } from '../collections.ts';
import type { GatewayEntry, ListenerEntry } from '../gateways.ts';
import type { Inventory } from '../inventory.ts';
import { namespaceOfRef } from '../references.ts';
import { selects } from '../selector-index.ts';
import { accepted, type Verdict } from '../status.ts';
import type { RouteObject } from './backends.ts';
import type { Attachment, CompiledRoute, RouteContext } from './compilation.ts';
import type { ConflictCheck } from './conflicts.ts';
import { attachByServerName } from './connections.ts';
import { intersectHostnames } from './hostnames.ts';
import { describeMatch } from './matches.ts';

/** Attaches a route to the listeners of a Gateway of ours; `undefined` where it is somebody else's. */
export function attachToGateway(
  route: CompiledRoute,
  ref: ParentRef,
  path: string,
  context: RouteContext,
  conflicts: ConflictCheck,
): Attachment {
  const { gateways, inventory, mesh, report } = context;
  const { object } = route;
  const wanted = object.kind === 'TCPRoute' ? undefined : object.spec.hostnames;
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
    .map((listener) => ({ listener, hostnames: intersectHostnames(listener.spec.hostname, wanted) }))
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
            message: `no listener of Gateway ${name} has a hostname in common with ${wanted?.join(', ')}`,
          };
    report('MW1403', object, {
      path,
      message: refusal.message!,
      hint: "compare the route with the gateway's listeners",
    });
    return refusal;
  }
  for (const { listener } of attachable) listener.attachedRoutes++;
  if ('connection' in route) {
    const { connection } = route;
    for (const { target } of connection.backends) if (target) gateway.calls.add(target.service);
    const lists = attachable.map(({ listener, hostnames: serverNames }) => ({
      serverNames,
      routes: listener.tlsRoutes,
      place: `listener ${listener.spec.name} of Gateway ${name}`,
    }));
    return attachByServerName(connection, lists, (message, hint) => report('MW1204', object, { path, message, hint }));
  }
  const { rules } = route;
  for (const { listener, hostnames } of attachable) {
    for (const hostname of hostnames) {
      const hostRules = valueAt(listener.hosts, hostname, () => []);
      const place = `listener ${listener.spec.name} of Gateway ${name}, host ${hostname}`;
      for (const rule of rules) conflicts.check(hostRules, object, rule, place);
      hostRules.push(...rules);
    }
  }
  const keepsUnderscores = mesh.strangersOf(namespace)?.underscores === 'keep';
  for (const { rule } of rules) {
    const match = keepsUnderscores ? undefined : rule.matches.find(asksForUnderscores);
    if (match) {
      report('MW1324', object, {
        path,
        message: `rule ${rule.name}: Gateway ${name} removes headers with _ in their names, so no request matches ${describeMatch(match)}`,
        hint: `write - for _ in the name, or let such headers pass: strangers.underscores of the Mesh in namespace ${namespace}`,
      });
    }
    if (rule.action.kind === 'forward') {
      for (const { target } of rule.action.backends) if (target) gateway.calls.add(target.service);
    }
    for (const { target } of rule.mirrors) gateway.calls.add(target.service);
  }
  return accepted;
}

function asksForUnderscores({ headers }: HttpMatch): boolean {
  return headers.some(({ name }) => name.includes('_'));
}

/** The routes that listeners of a protocol are for. */
const routeKinds: Readonly<Record<string, readonly RouteObject['kind'][]>> = {
  HTTP: ['HTTPRoute', 'GRPCRoute'],
  TLS: ['TLSRoute'],
};

/** `allowedRoutes` of a listener: the gateway's own namespace and every kind of route where it says nothing. */
function allows({ spec }: ListenerEntry, gateway: GatewayEntry, route: RouteObject, inventory: Inventory): boolean {
  if (!routeKinds[spec.protocol]?.includes(route.kind)) return false;
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
