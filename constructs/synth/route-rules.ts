import type { IConstruct } from 'constructs';
import type { Protocol } from '../../runtime/model/index.ts';
import type { Backend, ITarget, ListenerProtocol, RouteParent } from '../interfaces.ts';
import { type GrpcCondition, type HttpCondition, Match } from '../match.ts';
import { nameBelowMesh, namespaceAt } from '../metadata.ts';
import { isUnknown } from '../placeholder.ts';
import { backendsOf, portOf } from '../route-rendering.ts';
import type { HeaderChanges, RuleProps } from '../route-rule.ts';
import type { Check } from './check.ts';
import { checkConditions } from './match-rules.ts';
import { RouteTable } from './route-table.ts';
import {
  checkHeaderName,
  checkHostname,
  checkObjectName,
  checkRuleNames,
  claimObject,
  listOf,
  quote,
} from './rules.ts';

interface Rule extends RuleProps<HttpCondition | GrpcCondition> {
  readonly to?: ITarget | readonly ITarget[];
  readonly redirect?: unknown;
}

interface RouteKind {
  readonly kind: 'HTTPRoute' | 'GRPCRoute' | 'TLSRoute';
  readonly parent: RouteParent;
  /** The protocols it can be on. */
  readonly protocols: readonly Protocol[];
  /** The listeners that it can be on. */
  readonly listeners: ListenerProtocol;
}

interface CheckedRoute extends Omit<RouteKind, 'listeners'> {
  readonly rules: readonly Rule[];
  readonly hostnames?: readonly string[];
}

/** Reports what is wrong with a route in itself, and enters its rules into the {@link RouteTable}. */
export function checkRoute(check: Check, route: IConstruct, checked: CheckedRoute): void {
  const { kind, parent, rules, hostnames = [] } = checked;
  const props = { ...checked, listeners: 'http' } as const;
  const name = nameBelowMesh(route);
  checkObjectName(check, route, 'route name', name);
  claimObject(check, route, kind, namespaceAt(route), name);
  checkParent(check, route, props);
  for (const hostname of hostnames) checkHostname(check, route, hostname);
  if (hostnames.length && parent.ref.kind === 'Service') {
    check.report(
      'MW1250',
      route,
      `host names ${listOf(hostnames)} mean nothing in the mesh, where ${parent.ref.name} itself is the host`,
      'leave `hostnames` out, or attach the route to a gateway',
    );
  }
  if (rules.length === 0) {
    check.report('MW1231', route, 'it has no rules', 'state at least one, for example { to: reviews }');
  }
  checkRuleNames(
    check,
    route,
    rules.map((rule) => rule.name),
  );

  const table = check.analysis(RouteTable);
  const places = parent.places.flatMap((place) =>
    (hostnames.length ? hostnames : ['*']).map((host) => `${place} ${host}`),
  );
  rules.forEach((rule, index) => {
    const label = rule.name ?? `rule-${index}`;
    for (const conditions of Match._alternatives(rule.match)) {
      checkConditions(check, route, label, conditions);
      for (const place of places) table.add(place, route, label, conditions);
    }
    checkTargets(check, route, label, rule, props);
    checkHeaders(check, route, `${label}: requestHeaders`, rule.requestHeaders);
    checkHeaders(check, route, `${label}: responseHeaders`, rule.responseHeaders);
  });
  if (parent.ref.kind === 'Service' && rules.length) {
    for (const place of places) table.mustAnswerAll(place, route);
  }
}

/** Reports a parent that is out of reach, or speaks something else. */
export function checkParent(check: Check, route: IConstruct, { parent, protocols, listeners }: RouteKind): void {
  if (!check.holds(parent.construct)) {
    check.report(
      'MW1235',
      route,
      `it is attached to ${parent.construct.node.path}, which is in another tree`,
      'define both below one App',
    );
  } else if (parent.namespace !== namespaceAt(route)) {
    check.report(
      'MW1251',
      route,
      `it is in namespace ${namespaceAt(route)}, but attached to ${parent.ref.name} of ${parent.namespace}`,
      `define it in the mesh of ${parent.namespace}`,
    );
  }
  for (const port of parent.ports.filter(({ protocol }) => !protocols.includes(protocol))) {
    check.report(
      'MW1237',
      route,
      `port ${port.name} of ${parent.ref.name} speaks ${port.protocol}; this route is for ${protocols.join(' and ')}`,
      `attach it to a port that speaks ${protocols.join(' or ')}`,
    );
  }
  if (parent.listeners?.length && !parent.listeners.includes(listeners)) {
    check.report(
      'MW1237',
      route,
      `${parent.ref.sectionName ? `listener ${parent.ref.sectionName}` : 'every listener'} of ${parent.ref.name} is for ${parent.listeners[0]}; this route is for ${listeners}`,
      listeners === 'tls'
        ? "give the gateway a listener with tls: 'passthrough'"
        : 'give the gateway one without `tls`',
    );
  }
}

/** Reports targets that are out of reach or speak something else, and weights that make no sense. */
export function checkTargets(check: Check, route: IConstruct, label: string, rule: Rule, props: RouteKind): void {
  const backends = backendsOf(rule.to);
  if (backends.length === 0 && !rule.redirect) {
    check.report('MW1232', route, `${label} has no target`, 'state where its requests go with `to`, or a `redirect`');
  }
  for (const backend of backends) checkBackend(check, route, `${label}: target ${backend.name}`, backend, props);
  checkWeights(check, route, label, backends);
  if (!rule.mirror) return;
  for (const backend of backendsOf(rule.mirror.to)) {
    checkBackend(check, route, `${label}: mirror ${backend.name}`, backend, props);
  }
  const { percent = 100 } = rule.mirror;
  if (!isUnknown(percent) && (!Number.isInteger(percent) || percent < 0 || percent > 100)) {
    check.report(
      'MW1249',
      route,
      `${label}: the mirrored share is ${percent} %; allowed are whole numbers from 0 to 100`,
      'state the share of requests to copy in percent',
    );
  }
}

function checkBackend(check: Check, route: IConstruct, what: string, backend: Backend, props: RouteKind): void {
  const { service } = backend;
  if (!check.holds(service)) {
    check.report(
      'MW1235',
      route,
      `${what} is ${service.node.path}, which is in another tree`,
      'define both below one App, or refer to the other with Service.fromName',
    );
    return;
  }
  if (service.namespace !== namespaceAt(route)) {
    check.report(
      'MW1251',
      route,
      `${what} is in namespace ${service.namespace}, the route in ${namespaceAt(route)}`,
      'send requests to services of the same namespace',
    );
  }
  const port = portOf(backend, props.parent.ports);
  if (!port) {
    check.report(
      'MW1236',
      route,
      `${what} has the ports ${listOf(Object.keys(service.ports))} and none is named`,
      "name one: service.port('http')",
    );
  } else if ((port.protocol === 'tcp') !== (props.kind === 'TLSRoute')) {
    check.report(
      'MW1237',
      route,
      `${what}: port ${port.name} speaks ${port.protocol}; this route is for ${props.protocols.join(' and ')}`,
      `send requests to a port that speaks ${props.protocols.join(' or ')}`,
    );
  }
}

function checkWeights(check: Check, route: IConstruct, label: string, backends: readonly Backend[]): void {
  const weights = backends.map(({ weight = 1 }) => weight);
  for (const [index, weight] of weights.entries()) {
    if ((Number.isInteger(weight) && weight >= 0 && weight <= 1_000_000) || isUnknown(weight)) continue;
    check.report(
      'MW1233',
      route,
      `${label}: the weight of ${backends[index].name} is ${weight}; allowed are whole numbers from 0 to 1000000`,
      'weights are shares of their sum: 90 and 10, or 9 and 1',
    );
  }
  if (weights.length && weights.every((weight) => weight === 0)) {
    check.report(
      'MW1234',
      route,
      `${label}: all weights are 0, so nothing would get the requests`,
      'give at least one target a weight above 0',
    );
  }
}

function checkHeaders(check: Check, route: IConstruct, place: string, changes: HeaderChanges | undefined): void {
  if (!changes) return;
  const seen = new Set<string>();
  for (const [action, names] of [
    ['set', Object.keys(changes.set ?? {})],
    ['add', Object.keys(changes.add ?? {})],
    ['remove', changes.remove ?? []],
  ] as const) {
    for (const name of names) {
      checkHeaderName(check, route, place, name);
      const key = `${action} ${name.toLowerCase()}`;
      if (seen.has(key)) {
        check.report('MW1242', route, `${place}: header ${quote(name)} is in \`${action}\` twice`, 'name it once');
      }
      seen.add(key);
    }
  }
}
