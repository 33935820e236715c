import { qualifiedName } from '../../model/index.ts';
import { namespaceOf, type ParentRef } from '../../resources/index.ts';
import { valueAt } from '../collections.ts';
import { namespaceOfRef } from '../references.ts';
import type { Report } from '../report.ts';
import {
  type Audience,
  everyone,
  isHeadless,
  type ServiceEntries,
  type ServiceEntry,
  type ServicePortEntry,
} from '../services.ts';
import { accepted, type Verdict } from '../status.ts';
import { type RouteObject, speaks } from './backends.ts';
import type { Attachment, CompiledRoute } from './compilation.ts';
import type { ConflictCheck } from './conflicts.ts';
import { attachByServerName, type CompiledConnectionRoute } from './connections.ts';

/** What of two kinds on one port holds: the first of these (GEP-1294, "Route types"). */
const kindsByRank: readonly RouteObject['kind'][] = ['GRPCRoute', 'HTTPRoute', 'TCPRoute'];

/** Tells which kind of routes holds for callers of a port. */
export type Ranking = (port: ServicePortEntry, audience: Audience) => RouteObject['kind'] | undefined;

export function rankRoutes(routes: readonly RouteObject[], services: ServiceEntries): Ranking {
  const kinds = new Map<ServicePortEntry, Map<Audience, Set<RouteObject['kind']>>>();
  for (const route of routes) {
    for (const ref of route.spec.parentRefs ?? []) {
      if (ref.kind !== 'Service') continue;
      const { ports, audience } = parentOf(route, ref, services);
      for (const port of ports) {
        if (!speaks(route.kind, port.protocol)) continue;
        const audiences = valueAt(kinds, port, () => new Map<Audience, Set<RouteObject['kind']>>());
        valueAt(audiences, audience, () => new Set<RouteObject['kind']>()).add(route.kind);
      }
    }
  }
  return (port, audience) => kindsByRank.find((kind) => kinds.get(port)?.get(audience)?.has(kind));
}

interface ServiceParent {
  readonly name: string;
  readonly service: ServiceEntry | undefined;
  /** Those that the reference means. */
  readonly ports: readonly ServicePortEntry[];
  readonly audience: Audience;
}

function parentOf(route: RouteObject, ref: ParentRef, services: ServiceEntries): ServiceParent {
  const namespace = namespaceOfRef(ref, route);
  const name = qualifiedName(namespace, ref.name);
  const service = services.get(name);
  const ports = (service?.ports ?? []).filter(
    (port) =>
      (ref.port === undefined || port.port === ref.port) &&
      (ref.sectionName === undefined || port.name === ref.sectionName),
  );
  return { name, service, ports, audience: namespaceOf(route) === namespace ? everyone : namespaceOf(route) };
}

interface ServiceParentContext {
  readonly services: ServiceEntries;
  readonly report: Report;
}

/**
 * Attaches a route to the ports of a Service: for all callers where it lives in the namespace of the Service, else for
 * those of its own namespace, for whom it stands in for the routes of the Service's (GEP-1294).
 */
export function attachToService(
  route: CompiledRoute,
  ref: ParentRef,
  path: string,
  { services, report }: ServiceParentContext,
  ranking: Ranking,
  conflicts: ConflictCheck,
): Attachment {
  const { object } = route;
  const parent = parentOf(object, ref, services);
  const { name, service, ports, audience } = parent;
  const refuse = (id: Parameters<Report>[0], reason: string, message: string, hint: string): Verdict => {
    report(id, object, { path, message, hint });
    return { holds: false, reason, message };
  };
  if (!service) {
    const { message, hint } = services.absence(name);
    return refuse('MW1201', 'NoMatchingParent', message, hint);
  }
  if (ports.length === 0) {
    const known = service.ports.map(({ port }) => port).join(', ') || 'none';
    const wanted = [ref.port, ref.sectionName && `named ${ref.sectionName}`].filter(Boolean).join(' ');
    return refuse(
      'MW1201',
      'NoMatchingParent',
      `Service ${name} has no port ${wanted}`.trimEnd(),
      `its ports are ${known}`,
    );
  }
  if (isHeadless(service)) {
    const message = `Service ${name} is headless: no address stands for it by which its calls could be known`;
    return refuse('MW1208', 'UnsupportedValue', message, 'attach the route to a Service with a cluster IP');
  }
  const fitting = ports.filter((port) => speaks(object.kind, port.protocol));
  const held = fitting.filter((port) => object.kind === 'TLSRoute' || ranking(port, audience) === object.kind);
  if (held.length > 0) return attachToPorts(route, held, parent, path, report, conflicts);
  const contested = ports.find(
    (port) => (speaks(object.kind, port.protocol) || port.declaredBy === 'route') && ranking(port, audience),
  );
  if (contested) {
    const message = `port ${contested.port} of Service ${name} has routes of kind ${ranking(contested, audience)}, and only they hold`;
    return refuse('MW1209', 'Conflicted', message, 'keep routes of one kind on a port');
  }
  const message = `${object.kind} cannot be attached to port ${ports[0].port} of Service ${name}, which speaks ${ports[0].protocol}`;
  return refuse('MW1203', 'NoMatchingParent', message, fittingProtocol[object.kind]);
}

const fittingProtocol: Readonly<Record<RouteObject['kind'], string>> = {
  GRPCRoute: 'set appProtocol: grpc on the port',
  HTTPRoute: 'set appProtocol: http on the port',
  TCPRoute: 'set appProtocol: tcp on the port, or use an HTTPRoute',
  TLSRoute: 'set appProtocol: https on the port, or use an HTTPRoute',
};

function attachToPorts(
  route: CompiledRoute,
  ports: readonly ServicePortEntry[],
  { name, audience }: ServiceParent,
  path: string,
  report: Report,
  conflicts: ConflictCheck,
): Verdict {
  if ('connection' in route) return attachConnections(route, ports, name, audience, path, report);
  for (const port of ports) {
    const rules = valueAt(port.rules, audience, () => []);
    const callers = audience === everyone ? '' : ` for callers in namespace ${audience}`;
    for (const rule of route.rules)
      conflicts.check(rules, route.object, rule, `port ${port.port} of Service ${name}${callers}`);
    rules.push(...route.rules.map(({ rule }) => rule));
  }
  return accepted;
}

function attachConnections(
  { object, connection }: CompiledConnectionRoute,
  ports: readonly ServicePortEntry[],
  service: string,
  audience: Audience,
  path: string,
  report: Report,
): Verdict {
  if (object.kind === 'TLSRoute') {
    const lists = ports.map((port) => ({
      serverNames: object.spec.hostnames,
      routes: valueAt(port.tlsRoutes, audience, () => []),
      place: `port ${port.port} of Service ${service}`,
    }));
    return attachByServerName(connection, lists, (message, hint) => report('MW1204', object, { path, message, hint }));
  }
  const free = ports.filter((port) => !port.tcpRoutes.has(audience));
  for (const port of free) port.tcpRoutes.set(audience, connection);
  if (free.length > 0) return accepted;
  const { kind, namespace, name } = ports[0].tcpRoutes.get(audience)!.route;
  const message = `${kind} ${namespace}/${name} already holds for port ${ports[0].port} of Service ${service}; the older route wins`;
  report('MW1204', object, {
    path,
    message,
    hint: 'remove one of the two, or name another port of the Service',
  });
  return { holds: false, reason: 'Conflicted', message };
}
